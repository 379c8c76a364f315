"""Images in tar shards: index, storage and dataset."""

from .build import build_index, verify_index
from .dataset import UnlabeledShards
from .index import ShardIndex
from .opening import open_storage

__all__ = [
    'ShardIndex',
    'UnlabeledShards',
    'build_index',
    'open_storage',
    'verify_index',
]

"""Images in tar shards: index, storage and dataset."""

from .dataset import UnlabeledShards
from .index import ShardIndex, build_index, verify_index
from .remote import open_storage

__all__ = [
    'ShardIndex',
    'UnlabeledShards',
    'build_index',
    'open_storage',
    'verify_index',
]

"""Names of the layers and options of mmpretrain's backbones in other libraries."""

from .layers import Namer, ParsedKey, parse_keys, split_into_stages
from .options import arguments_of, changed_options, check_only, published_model, refuse

__all__ = [
    'Namer',
    'ParsedKey',
    'arguments_of',
    'changed_options',
    'check_only',
    'parse_keys',
    'published_model',
    'refuse',
    'split_into_stages',
]

"""What the layers and options of mmpretrain's backbones mean to other libraries."""

from .layers import Namer, Place, places, split_into_stages
from .options import arguments_of, changed_options, check_only, published_model, refuse

__all__ = [
    'Namer',
    'Place',
    'arguments_of',
    'changed_options',
    'check_only',
    'places',
    'published_model',
    'refuse',
    'split_into_stages',
]

from .manifest import Manifest
from .reader import ViewStore

__all__ = ['Manifest', 'ViewStore']

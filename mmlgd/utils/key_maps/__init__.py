"""Names of a backbone's weights in other libraries."""

from .targets import FORMATS, Target, find_target

__all__ = ['FORMATS', 'Target', 'find_target']

"""mmlgd: language-guided distillation of CLIP-like teachers, for OpenMMLab."""

from .version import __version__

__all__ = ['__version__']

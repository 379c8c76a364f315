"""Transforms that mmpretrain and mmcv lack."""

from .formatting import GrayToBGR

__all__ = ['GrayToBGR']

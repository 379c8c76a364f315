"""Transforms that are missing in mmpretrain and mmcv, or slower there."""

from .formatting import GrayToBGR
from .geometric import FastRandomFlip, FastRandomResizedCrop
from .loading import LoadImageFromFile
from .photometric import FastColorJitter, FastGaussianBlur, FastRandomGrayscale

__all__ = [
    'FastColorJitter',
    'FastGaussianBlur',
    'FastRandomFlip',
    'FastRandomGrayscale',
    'FastRandomResizedCrop',
    'GrayToBGR',
    'LoadImageFromFile',
]

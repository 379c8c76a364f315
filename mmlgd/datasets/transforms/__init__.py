"""Transforms that mmpretrain and mmcv lack, or that are faster here."""

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

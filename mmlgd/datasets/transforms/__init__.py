"""Transforms that mmpretrain and mmcv lack, or that are faster here."""

from .device import PackForDevice
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
    'PackForDevice',
]

"""Teachers: frozen encoders that students are distilled from."""

from .base import BaseTeacher
from .batch_encoder import batch_encoder
from .mmpretrain_teacher import MMPretrainTeacher
from .open_clip_teacher import OpenCLIPTeacher
from .spatial import SpatialFeatures

__all__ = [
    'BaseTeacher',
    'MMPretrainTeacher',
    'OpenCLIPTeacher',
    'SpatialFeatures',
    'batch_encoder',
]

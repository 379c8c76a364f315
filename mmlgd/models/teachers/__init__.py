"""Teachers: frozen encoders that students are distilled from."""

from .base import BaseTeacher
from .mmpretrain_teacher import MMPretrainTeacher
from .open_clip_teacher import OpenCLIPTeacher
from .spatial import SpatialFeatures
from .stored_teacher import StoredTeacher

__all__ = [
    'BaseTeacher',
    'MMPretrainTeacher',
    'OpenCLIPTeacher',
    'SpatialFeatures',
    'StoredTeacher',
]

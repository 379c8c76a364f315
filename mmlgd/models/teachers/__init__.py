"""Teachers: frozen encoders that students are distilled from."""

from .adapted import AdaptedTeacher
from .base import BaseTeacher
from .batch_encoder import batch_encoder
from .joint import JointTeacher
from .mmpretrain_teacher import MMPretrainTeacher
from .open_clip_teacher import OpenCLIPTeacher
from .projected import ProjectedTeacher
from .spatial import SpatialFeatures
from .temperature import learned_temperature
from .timm_teacher import TIMMTeacher

__all__ = [
    'AdaptedTeacher',
    'BaseTeacher',
    'JointTeacher',
    'MMPretrainTeacher',
    'OpenCLIPTeacher',
    'ProjectedTeacher',
    'SpatialFeatures',
    'TIMMTeacher',
    'batch_encoder',
    'learned_temperature',
]

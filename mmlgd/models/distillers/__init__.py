"""Distillation methods: one student, one method per file."""

from .base import BaseDistiller
from .bingo import BINGO
from .dense_lgd import DenseLGD
from .feature_mimicry import FeatureMimicry
from .lgd import LGD
from .lgd_plus import LGDPlus
from .multi_teacher_lgd import MultiTeacherLGD
from .relational import RelationalKD
from .seed import SEED
from .several_teachers import build_language_teacher, build_whole_teacher
from .spatial import SpatialMimicry

__all__ = [
    'BINGO',
    'BaseDistiller',
    'DenseLGD',
    'FeatureMimicry',
    'LGD',
    'LGDPlus',
    'MultiTeacherLGD',
    'RelationalKD',
    'SEED',
    'SpatialMimicry',
    'build_language_teacher',
    'build_whole_teacher',
]

"""Distillation methods: one teacher, one student, one method per file."""

from .base import BaseDistiller
from .bingo import BINGO
from .dense_lgd import DenseLGD
from .feature_mimicry import FeatureMimicry
from .lgd import LGD
from .lgd_plus import LGDPlus
from .relational import RelationalKD
from .seed import SEED
from .spatial import SpatialMimicry

__all__ = [
    'BINGO',
    'BaseDistiller',
    'DenseLGD',
    'FeatureMimicry',
    'LGD',
    'LGDPlus',
    'RelationalKD',
    'SEED',
    'SpatialMimicry',
]

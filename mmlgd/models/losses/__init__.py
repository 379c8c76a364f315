"""Losses of distillation: tensors in, scalars out."""

from .bingo_loss import BINGOLoss, bingo_loss
from .info_nce import info_nce
from .lgd_loss import LGDLoss, lgd_loss
from .seed_loss import seed_loss
from .soft_cross_entropy import soft_cross_entropy

__all__ = [
    'BINGOLoss',
    'LGDLoss',
    'bingo_loss',
    'info_nce',
    'lgd_loss',
    'seed_loss',
    'soft_cross_entropy',
]

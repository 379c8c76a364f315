"""Losses of distillation: tensors in, scalars out."""

from .lgd_loss import LGDLoss, lgd_loss
from .seed_loss import seed_loss
from .soft_cross_entropy import soft_cross_entropy

__all__ = ['LGDLoss', 'lgd_loss', 'seed_loss', 'soft_cross_entropy']

"""Losses of distillation: tensors in, scalars out."""

from .bingo_loss import BINGOLoss, bingo_loss
from .feature_matching_loss import feature_matching_loss
from .info_nce import info_nce
from .kl_divergence import kl_divergence
from .lgd_loss import LGDLoss, lgd_loss
from .mimicry_loss import mimicry_loss
from .relational_loss import relational_loss
from .seed_loss import seed_loss
from .soft_cross_entropy import soft_cross_entropy
from .spatial_loss import resize_to_grid, spatial_mse_loss, spatial_relations_loss

__all__ = [
    'BINGOLoss',
    'LGDLoss',
    'bingo_loss',
    'feature_matching_loss',
    'info_nce',
    'kl_divergence',
    'lgd_loss',
    'mimicry_loss',
    'resize_to_grid',
    'relational_loss',
    'seed_loss',
    'soft_cross_entropy',
    'spatial_mse_loss',
    'spatial_relations_loss',
]

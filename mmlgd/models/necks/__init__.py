"""Necks: from student features to the teacher's embedding space."""

from .linear_projection import LinearProjection
from .projector import Projector
from .token_pooling import TokenPooling

__all__ = ['LinearProjection', 'Projector', 'TokenPooling']

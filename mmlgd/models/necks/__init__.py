"""Necks: pooling and projection of backbone features."""

from .linear_projection import LinearProjection
from .projector import Projector
from .token_pooling import TokenPooling

__all__ = ['LinearProjection', 'Projector', 'TokenPooling']

"""Distillation methods: one teacher, one student, one method a file."""

from .base import BaseDistiller
from .lgd import LGD
from .seed import SEED

__all__ = ['LGD', 'SEED', 'BaseDistiller']

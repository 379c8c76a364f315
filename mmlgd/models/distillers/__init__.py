"""Distillation methods: one teacher, one student, one method a file."""

from .base import BaseDistiller
from .lgd import LGD

__all__ = ['LGD', 'BaseDistiller']

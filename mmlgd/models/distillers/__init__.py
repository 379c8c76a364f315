"""Distillation methods: one teacher, one student, one method a file."""

from .base import BaseDistiller
from .bingo import BINGO
from .lgd import LGD
from .seed import SEED

__all__ = ['BINGO', 'BaseDistiller', 'LGD', 'SEED']

"""Teachers, students, banks, losses and the methods that join them."""

from .banks import (
    BankStatistics,
    EmbeddingQueue,
    TextualSemanticsBank,
    VisualSemanticsBank,
)
from .distillers import LGD, SEED, BaseDistiller
from .necks import Projector
from .student import Student
from .teachers import BaseTeacher, MMPretrainTeacher, OpenCLIPTeacher

__all__ = [
    'BankStatistics',
    'BaseDistiller',
    'BaseTeacher',
    'EmbeddingQueue',
    'LGD',
    'MMPretrainTeacher',
    'OpenCLIPTeacher',
    'Projector',
    'SEED',
    'Student',
    'TextualSemanticsBank',
    'VisualSemanticsBank',
]

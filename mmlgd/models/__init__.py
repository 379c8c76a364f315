"""Teachers, students, banks, losses and the methods that join them."""

from .banks import BankStatistics, TextualSemanticsBank, VisualSemanticsBank
from .distillers import LGD, BaseDistiller
from .necks import Projector
from .student import Student
from .teachers import BaseTeacher, MMPretrainTeacher, OpenCLIPTeacher

__all__ = [
    'BankStatistics',
    'BaseDistiller',
    'BaseTeacher',
    'LGD',
    'MMPretrainTeacher',
    'OpenCLIPTeacher',
    'Projector',
    'Student',
    'TextualSemanticsBank',
    'VisualSemanticsBank',
]

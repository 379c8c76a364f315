"""Teachers, students, banks, losses and the distillation methods."""

from .backbones import TIMMBackbone
from .banks import (
    BankStatistics,
    EmbeddingQueue,
    TextualSemanticsBank,
    VisualSemanticsBank,
)
from .data_preprocessor import DistillDataPreprocessor
from .distillers import (
    BINGO,
    LGD,
    SEED,
    BaseDistiller,
    DenseLGD,
    FeatureMimicry,
    MultiTeacherLGD,
    RelationalKD,
    SpatialMimicry,
)
from .necks import Projector
from .student import Student
from .teachers import (
    BaseTeacher,
    MMPretrainTeacher,
    OpenCLIPTeacher,
    TIMMTeacher,
)

__all__ = [
    'BINGO',
    'BankStatistics',
    'BaseDistiller',
    'BaseTeacher',
    'DenseLGD',
    'DistillDataPreprocessor',
    'EmbeddingQueue',
    'FeatureMimicry',
    'LGD',
    'MMPretrainTeacher',
    'MultiTeacherLGD',
    'OpenCLIPTeacher',
    'Projector',
    'RelationalKD',
    'SEED',
    'SpatialMimicry',
    'Student',
    'TIMMBackbone',
    'TIMMTeacher',
    'TextualSemanticsBank',
    'VisualSemanticsBank',
]

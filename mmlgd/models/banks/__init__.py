"""The semantics banks: what the student's embeddings are compared with."""

from .assignment_frequency import AssignmentFrequency
from .bank_statistics import BankStatistics
from .cluster_bank import ClusterBank
from .embedding_queue import EmbeddingQueue
from .textual_bank import TextualSemanticsBank
from .visual_bank import VisualSemanticsBank

__all__ = [
    'AssignmentFrequency',
    'BankStatistics',
    'ClusterBank',
    'EmbeddingQueue',
    'TextualSemanticsBank',
    'VisualSemanticsBank',
]

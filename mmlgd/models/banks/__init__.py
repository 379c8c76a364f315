"""The semantics banks: what the student's embeddings are compared with."""

from .bank_statistics import BankStatistics
from .embedding_queue import EmbeddingQueue
from .textual_bank import TextualSemanticsBank
from .visual_bank import VisualSemanticsBank

__all__ = [
    'BankStatistics',
    'EmbeddingQueue',
    'TextualSemanticsBank',
    'VisualSemanticsBank',
]

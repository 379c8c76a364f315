"""Differences of embeddings."""

import numpy as np
import torch
from torch.nn.functional import cosine_similarity


def cosine_loss(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 - cos between embeddings (..., D): (...) float64."""
    one, other = (torch.from_numpy(each).double() for each in (first, second))
    return 1 - cosine_similarity(one, other, dim=-1).numpy()

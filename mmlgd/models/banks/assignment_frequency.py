"""How often each category is assigned, and weights that make up for it."""

import torch
from torch import nn

from mmlgd.utils.checks import check_in_range
from mmlgd.utils.gather import StepRows


class AssignmentFrequency(nn.Module):
    """Frequency f_c of each category among the teacher's assignments.

    Images of a category have the weight w_c = f_c^-b / sum_k f_k^(1 - b): rare categories
    count more, and the expected weight of an image is 1. Counts of older batches decay;
    they are saved in the checkpoint and identical on every rank.

    Args:
        num_categories (int): C.
        balance (float): b, in [0, 1]: 0 weights all images equally, 1 all categories.
        momentum (float): Decay of the counts for each batch, in [0, 1). Defaults to
            0.999.

    Attributes:
        counts (torch.Tensor): (C,) float32, decayed number of assigned images.

    Raises:
        ConfigError: The balance or the momentum is out of range.
    """

    def __init__(
        self, num_categories: int, balance: float, momentum: float = 0.999
    ) -> None:
        super().__init__()
        self.balance = check_in_range('balance', balance, 0, 1)
        self.momentum = check_in_range(
            'AssignmentFrequency.momentum', momentum, 0, 1, high_open=True
        )
        self.register_buffer('counts', torch.zeros(num_categories))
        self._step = StepRows()

    def weights(self, assignment: torch.Tensor) -> torch.Tensor:
        """Weight (B,) float32 of each image, given its category (B,) int64."""
        # One more of each: new categories have no infinite weight, and all weights are
        # equal before the first batch.
        frequency = (self.counts + 1) / (self.counts + 1).sum()
        weights = frequency**-self.balance
        return (weights / (frequency * weights).sum())[assignment]

    @torch.no_grad()
    def update(self, assignment: torch.Tensor) -> None:
        """Count a batch's categories (B,) int64, of all ranks.

        A step in several parts counts as one batch, in the last part.
        """
        whole = self._step.gather(assignment)
        if whole is None:
            return
        # Not bincount, which reads its result's length on the host.
        new = torch.zeros_like(self.counts)
        new.index_add_(0, whole, torch.ones_like(whole, dtype=new.dtype))
        self.counts.mul_(self.momentum).add_(new)

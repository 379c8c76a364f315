"""Running statistics of the use of the banks."""

import torch
from mmengine.dist import all_reduce
from torch import nn

from mmlgd.utils.step_parts import own_rows


class BankStatistics(nn.Module):
    """Counts assignments and agreements on the device, between two log lines.

    The counts are not saved: they describe the last interval, not the model.

    Args:
        num_categories (int): C.
    """

    def __init__(self, num_categories: int) -> None:
        super().__init__()
        self.register_buffer('counts', torch.zeros(num_categories), persistent=False)
        self.register_buffer('agreements', torch.zeros(()), persistent=False)

    @torch.no_grad()
    def update(
        self, assignment: torch.Tensor, student_assignment: torch.Tensor
    ) -> None:
        """Count one batch.

        Args:
            assignment (torch.Tensor): Category that the teacher assigns to each image,
                (B,) int64.
            student_assignment (torch.Tensor): The same for the student.
        """
        assignment = own_rows(assignment)
        student_assignment = own_rows(student_assignment)
        ones = torch.ones_like(assignment, dtype=self.counts.dtype)
        self.counts.index_add_(0, assignment, ones)
        self.agreements += (assignment == student_assignment).sum()

    @torch.no_grad()
    def compute(self) -> dict[str, float]:
        """Statistics since the last reset, over all ranks.

        Returns:
            dict[str, float]: ``assignment_entropy`` in nats, of the distribution
            of images over categories (at most log C), and
            ``teacher_student_agreement``, the share of images to which both assign
            the same category (top-1 over the textual bank). Empty if nothing was
            counted.
        """
        packed = torch.cat([self.counts, self.agreements[None]])
        all_reduce(packed)
        counts, agreements = packed[:-1], packed[-1]
        total = counts.sum()
        if total == 0:
            return {}
        entropy = torch.special.entr(counts / total).sum()
        return dict(
            assignment_entropy=entropy.item(),
            teacher_student_agreement=(agreements / total).item(),
        )

    @torch.no_grad()
    def reset(self) -> None:
        """Set all counts to zero."""
        self.counts.zero_()
        self.agreements.zero_()

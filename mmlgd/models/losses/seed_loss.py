"""The loss of SEED."""

import torch

from .soft_cross_entropy import soft_cross_entropy


def seed_loss(
    student: torch.Tensor,
    teacher: torch.Tensor,
    queue: torch.Tensor,
    student_temperature: float = 0.2,
    teacher_temperature: float = 0.01,
) -> torch.Tensor:
    r"""Soft cross-entropy over similarities to the own teacher embedding and a queue.

    .. math::
        l^s_b = (s_b \cdot t_b,\; s_b \cdot Q_1, \dots, s_b \cdot Q_K), \quad
        l^t_b = (t_b \cdot t_b,\; t_b \cdot Q_1, \dots, t_b \cdot Q_K)

    The loss is the soft cross-entropy of the two. Computed in float32, also under
    autocast: at a temperature of 0.01 half precision is too coarse.

    Args:
        student (torch.Tensor): s, unit rows (B, D), with gradient.
        teacher (torch.Tensor): t, unit rows (B, D), without gradient.
        queue (torch.Tensor): Q, unit rows (K, D), without this batch.
        student_temperature (float): Defaults to 0.2.
        teacher_temperature (float): Defaults to 0.01.

    Returns:
        torch.Tensor: The mean over the batch, a float32 scalar.

    Source: arXiv 2101.04731; the similarity to the own teacher embedding as in the
    authors' training code.
    """
    with torch.autocast(student.device.type, enabled=False):
        student, teacher, queue = student.float(), teacher.float(), queue.float()
        student_logits, teacher_logits = (
            torch.cat(
                [(rows * teacher).sum(dim=1, keepdim=True), rows @ queue.T], dim=1
            )
            for rows in (student, teacher)
        )
        return soft_cross_entropy(
            student_logits, teacher_logits, student_temperature, teacher_temperature
        )

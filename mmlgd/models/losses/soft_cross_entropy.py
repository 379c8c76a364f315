"""Cross-entropy between two softmax distributions over the same anchors."""

import torch
import torch.nn.functional as F


def soft_cross_entropy(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    student_temperature: float,
    teacher_temperature: float,
) -> torch.Tensor:
    r"""Cross-entropy of the student's distribution with the teacher's as the target.

    .. math::
        H = -\frac{1}{B} \sum_b \sum_k \mathrm{softmax}(l^t_b / \tau_t)_k
            \log \mathrm{softmax}(l^s_b / \tau_s)_k

    If both distributions agree, it equals the teacher's entropy, not zero.

    Args:
        student_logits (torch.Tensor): Similarities (B, K), float32.
        teacher_logits (torch.Tensor): Similarities (B, K), float32.
        student_temperature (float): :math:`\tau_s`, above 0.
        teacher_temperature (float): :math:`\tau_t`, above 0.

    Returns:
        torch.Tensor: The mean over the batch, a float32 scalar.
    """
    target = F.softmax(teacher_logits / teacher_temperature, dim=1)
    # cross_entropy accepts probabilities as targets; its fused backward is q - p.
    return F.cross_entropy(student_logits / student_temperature, target)

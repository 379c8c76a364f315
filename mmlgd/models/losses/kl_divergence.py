"""Kullback-Leibler divergence between two softmax distributions."""

import torch
import torch.nn.functional as F


def kl_divergence(
    student_logits: torch.Tensor, teacher_logits: torch.Tensor, temperature: float
) -> torch.Tensor:
    r"""KL(teacher || student) of two softmax distributions.

    .. math::
        \frac{1}{N} \sum_n \sum_k p_{nk} \log \frac{p_{nk}}{q_{nk}}, \quad
        p = \mathrm{softmax}(l^t / \tau),\; q = \mathrm{softmax}(l^s / \tau)

    Zero if both agree. Its gradient equals that of the soft cross-entropy.

    Args:
        student_logits (torch.Tensor): Similarities (N, K), float32.
        teacher_logits (torch.Tensor): Similarities (N, K), float32.
        temperature (float): :math:`\tau` of both softmaxes, above 0.

    Returns:
        torch.Tensor: The mean over the N rows, a float32 scalar.
    """
    return F.kl_div(
        F.log_softmax(student_logits / temperature, dim=1),
        F.log_softmax(teacher_logits / temperature, dim=1),
        reduction='batchmean',
        log_target=True,
    )

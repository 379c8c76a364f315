"""The loss of feature mimicry."""

import torch
import torch.nn.functional as F


def mimicry_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    r"""Mean squared error between unit embeddings, over all B D elements.

    .. math::
        \frac{1}{B D} \sum_b \lVert s_b - t_b \rVert^2
            = \frac{2}{D} \left(1 - \frac{1}{B} \sum_b s_b \cdot t_b\right)

    Computed in float32, also under autocast.

    Args:
        student (torch.Tensor): s, unit rows (B, D), with gradient.
        teacher (torch.Tensor): t, unit rows (B, D), without gradient.

    Returns:
        torch.Tensor: A float32 scalar.

    Source: CLIP-KD, arXiv 2307.12732, feature distillation (FD), image part.
    """
    with torch.autocast(student.device.type, enabled=False):
        return F.mse_loss(student.float(), teacher.float())

"""The loss of matching standardised features."""

import torch
import torch.nn.functional as F

from .spatial_loss import resize_to_grid

_COSINE_WEIGHT = 0.9
_SMOOTH_L1_WEIGHT = 0.1


def feature_matching_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """0.9 (1 - cosine) + 0.1 smooth L1, the mean over images and locations.

    The cosine determines the direction, the smooth L1 term (with beta = 1, the mean over
    all elements) also the length. Computed in float32, also under autocast.

    Args:
        student (torch.Tensor): Features (B, D) or a map (B, D, h', w'), with gradient;
            a map is resized bilinearly to the teacher's grid.
        teacher (torch.Tensor): (B, D) or (B, D, h, w), without gradient; standardised,
            so that no dimension dominates.

    Returns:
        torch.Tensor: A float32 scalar.

    Source: AM-RADIO, arXiv 2312.06709, the loss of its spatial features, with its
    weights. For pooled features AM-RADIO uses the cosine only.
    """
    with torch.autocast(student.device.type, enabled=False):
        student, teacher = student.float(), teacher.float()
        if teacher.dim() == 4:
            student = resize_to_grid(student, teacher)
        cosine = F.cosine_similarity(student, teacher, dim=1).mean()
        smooth_l1 = F.smooth_l1_loss(student, teacher)
        return _COSINE_WEIGHT * (1 - cosine) + _SMOOTH_L1_WEIGHT * smooth_l1

"""The losses of spatial mimicry."""

import torch
import torch.nn.functional as F

from .kl_divergence import kl_divergence


def spatial_mse_loss(
    student_map: torch.Tensor, teacher_map: torch.Tensor
) -> torch.Tensor:
    """Mean squared error between unnormalised feature maps, over all elements.

    It scales with the square of the teacher's features. Computed in float32, also
    under autocast.

    Args:
        student_map (torch.Tensor): (B, C, h', w'), with gradient; resized
            bilinearly to the teacher's grid.
        teacher_map (torch.Tensor): (B, C, h, w), without gradient.

    Returns:
        torch.Tensor: A float32 scalar.

    Source: LightlyTrain, distillation v2.
    """
    with torch.autocast(student_map.device.type, enabled=False):
        return F.mse_loss(resize_to_grid(student_map, teacher_map), teacher_map.float())


def spatial_relations_loss(
    student_map: torch.Tensor, teacher_map: torch.Tensor, temperature: float = 0.07
) -> torch.Tensor:
    """KL divergence between the similarities of the locations within each image.

    For each image, the features of its N = h w locations are normalised to unit length
    and compared with each other, themselves included, which gives N rows of N
    similarities. Computed in float32, also under autocast.

    Args:
        student_map (torch.Tensor): (B, C', h', w'), with gradient; resized
            bilinearly to the teacher's grid.
        teacher_map (torch.Tensor): (B, C, h, w), without gradient.
        temperature (float): Of both softmaxes, above 0. Defaults to 0.07.

    Returns:
        torch.Tensor: KL(teacher || student), the mean over the B N rows, a
        float32 scalar. 0 if N is 1.

    Source: LightlyTrain, distillation v3, local term.
    """
    with torch.autocast(student_map.device.type, enabled=False):
        return kl_divergence(
            _similarities(resize_to_grid(student_map, teacher_map)),
            _similarities(teacher_map.float()),
            temperature,
        )


def resize_to_grid(
    student_map: torch.Tensor, teacher_map: torch.Tensor
) -> torch.Tensor:
    """Resize a student's map bilinearly to the teacher's h and w, in float32."""
    grid = teacher_map.shape[-2:]
    if student_map.shape[-2:] == grid:
        return student_map.float()
    return F.interpolate(student_map.float(), size=grid, mode='bilinear')


def _similarities(feature_map: torch.Tensor) -> torch.Tensor:
    """Cosine similarities (B N, N) between the N locations of each image."""
    features = F.normalize(feature_map.flatten(2), dim=1)
    return (features.transpose(1, 2) @ features).flatten(0, 1)

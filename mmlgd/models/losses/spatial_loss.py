"""The losses of spatial mimicry: features of places, and how they relate."""

import torch
import torch.nn.functional as F

from .kl_divergence import kl_divergence


def spatial_mse_loss(
    student_map: torch.Tensor, teacher_map: torch.Tensor
) -> torch.Tensor:
    """Mean squared error between feature maps as they are, over all elements.

    Nothing is normalised, so its size is that of the teacher's features squared.
    Always float32, also under autocast.

    Args:
        student_map (torch.Tensor): (B, C, h', w'), with gradient; resized
            bilinearly to the teacher's grid.
        teacher_map (torch.Tensor): (B, C, h, w), without gradient.

    Returns:
        torch.Tensor: A float32 scalar.

    Source: LightlyTrain, distillation v2.
    """
    with torch.autocast(student_map.device.type, enabled=False):
        return F.mse_loss(on_grid(student_map, teacher_map), teacher_map.float())


def spatial_relations_loss(
    student_map: torch.Tensor, teacher_map: torch.Tensor, temperature: float = 0.07
) -> torch.Tensor:
    """Divergence between the similarities of the places within each image.

    For each image, the features of its N = h w places are made unit vectors and
    compared with each other, themselves included, which gives N rows of N
    similarities. Always float32, also under autocast.

    Args:
        student_map (torch.Tensor): (B, C', h', w'), with gradient; resized
            bilinearly to the teacher's grid.
        teacher_map (torch.Tensor): (B, C, h, w), without gradient.
        temperature (float): Of both softmaxes, above 0. Defaults to 0.07.

    Returns:
        torch.Tensor: KL(teacher || student), the mean over the B N rows, a
        float32 scalar. 0 where N is 1.

    Source: LightlyTrain, distillation v3, local term.
    """
    with torch.autocast(student_map.device.type, enabled=False):
        return kl_divergence(
            _similarities(on_grid(student_map, teacher_map)),
            _similarities(teacher_map.float()),
            temperature,
        )


def on_grid(student_map: torch.Tensor, teacher_map: torch.Tensor) -> torch.Tensor:
    """A student's map, float32, resized bilinearly to the teacher's h and w."""
    grid = teacher_map.shape[-2:]
    if student_map.shape[-2:] == grid:
        return student_map.float()
    return F.interpolate(student_map.float(), size=grid, mode='bilinear')


def _similarities(feature_map: torch.Tensor) -> torch.Tensor:
    """Cosines (B N, N) between the N places of each image."""
    places = F.normalize(feature_map.flatten(2), dim=1)
    return (places.transpose(1, 2) @ places).flatten(0, 1)

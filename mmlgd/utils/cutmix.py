"""A box of one image in another."""

import torch
from torch.distributions import Beta


def cutmix(
    first: torch.Tensor, second: torch.Tensor, concentration: float = 2.0
) -> tuple[torch.Tensor, float]:
    """Paste a random box of ``second``'s images into ``first``'s.

    The whole batch shares one box. Its share of the area, 1 - lambda with lambda
    ~ Beta(c, c), sets its size, and its centre is uniform over the image; what
    would stand out is cut off. Drawn from torch's generator of the CPU, whatever
    the device, so nothing waits for it.

    Args:
        first (torch.Tensor): Images (B, C, H, W).
        second (torch.Tensor): As many of the same size.
        concentration (float): c, above 0. Defaults to 2.0.

    Returns:
        tuple[torch.Tensor, float]: The mixed images, and the share of ``first`` in
        each: 1 less the share of the box as it was pasted.

    Source: arXiv 1905.04899.
    """
    area = 1 - Beta(concentration, concentration).sample().item()
    height, width = first.shape[-2:]
    top, bottom = _span(height, area**0.5)
    left, right = _span(width, area**0.5)
    mixed = first.clone()
    box = (..., slice(top, bottom), slice(left, right))
    mixed[box] = second[box]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _span(length: int, share: float) -> tuple[int, int]:
    """Where a random part begins and ends that takes a share of the length."""
    half = int(length * share) // 2
    centre = int(torch.randint(length, ()))
    return max(centre - half, 0), min(centre + half, length)

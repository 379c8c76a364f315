"""CutMix."""

import torch
from torch.distributions import Beta


def cutmix(
    first: torch.Tensor, second: torch.Tensor, concentration: float = 2.0
) -> tuple[torch.Tensor, float]:
    """Paste a random box of the images ``second`` into the images ``first``.

    The whole batch shares one box. Its area is a share 1 - lambda of the image, with
    lambda ~ Beta(c, c). Its centre is uniform over the image, and it is clipped at the
    border. Random numbers come from torch's CPU generator on all devices, so there is no
    synchronisation.

    Args:
        first (torch.Tensor): Images (B, C, H, W).
        second (torch.Tensor): Images of the same shape.
        concentration (float): c, above 0. Defaults to 2.0.

    Returns:
        tuple[torch.Tensor, float]: The mixed images, and the share of ``first`` in
        each: 1 minus the share of the clipped box.

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
    """Start and end of a random interval with a share of the length."""
    half = int(length * share) // 2
    centre = int(torch.randint(length, ()))
    return max(centre - half, 0), min(centre + half, length)

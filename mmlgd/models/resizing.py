"""Resizing of image batches."""

import torch.nn.functional as F
from torch import Tensor


def resize_images(images: Tensor, side: int) -> Tensor:
    """Resize with an antialiased bilinear filter, like Pillow and torchvision.

    The filter weights sum to one, so images may be normalised before or after.

    Args:
        images (Tensor): (B, 3, H, W), float.
        side (int): Side of the square result, in pixels.

    Returns:
        Tensor: (B, 3, side, side); the input itself if it has that size.
    """
    if tuple(images.shape[-2:]) == (side, side):
        return images
    return F.interpolate(
        images, (side, side), mode='bilinear', align_corners=False, antialias=True
    )

"""Images of one size made of images of another."""

import torch.nn.functional as F
from torch import Tensor


def resize_images(images: Tensor, side: int) -> Tensor:
    """Resize by the antialiased bilinear filter, as Pillow and torchvision do.

    Its weights add up to one, so it does not matter whether images are normalised
    before or after.

    Args:
        images (Tensor): (B, 3, H, W), float.
        side (int): Of the square result, in pixels.

    Returns:
        Tensor: (B, 3, side, side); the images themselves where they are of that size.
    """
    if tuple(images.shape[-2:]) == (side, side):
        return images
    return F.interpolate(
        images, (side, side), mode='bilinear', align_corners=False, antialias=True
    )

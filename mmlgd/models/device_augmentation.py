"""Changes of colour and sharpness of a batch, with parameters of its own for each image.

Pixels are whole numbers in float32, rounded after each operation as by the transforms of
:mod:`mmlgd.datasets.transforms.photometric`, so both yield the same views. Functions take
BGR images (B, 3, H, W) and values (B, 1, 1, 1), and read nothing back from the device.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmlgd.datasets.transforms.photometric import OPERATIONS, blur_taps

# As in the CPU's transforms: truncates, but keeps whole numbers.
_CUT = -0.499
# OpenCV's weights of blue, green and red, which are exact in float32.
_LUMA = (3735, 19235, 9798)


def augment(images: Tensor, operations: Tensor) -> Tensor:
    """Apply each image's operations, in its own order.

    Args:
        images (Tensor): (B, 3, H, W) uint8 BGR, on any device; not modified.
        operations (Tensor): (B, S, 2) on the CPU, from
            :class:`~mmlgd.datasets.transforms.PackForDevice`.

    Returns:
        Tensor: (B, 3, H, W) float32 of whole numbers in [0, 255], on the same device.
    """
    pixels = images.float()
    for name, rows, values in _steps(operations.numpy()):
        index = _send(rows, images.device)
        if name == 'blur':
            values = _stack_taps(values)
        chosen = pixels.index_select(0, index)
        changed = _FUNCTIONS[name](chosen, _send(values, images.device))
        pixels.index_copy_(0, index, changed)
    return pixels


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply by factors of at least 0."""
    return _to_levels(images * factors + _CUT)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Scale the distance from the image's mean luma."""
    means = (_luma(images).mean((2, 3), keepdim=True) + 0.5).floor()
    return _to_levels(images * factors + (1 - factors) * means + _CUT)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Scale the distance from the gray image."""
    return _to_levels(images * factors + _luma(images) * (1 - factors) + _CUT)


def adjust_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Shift the hue, in turns of the colour circle; exact up to the final rounding."""
    blue, green, red = images.split(1, dim=1)
    most = images.amax(1, keepdim=True)
    chroma = most - images.amin(1, keepdim=True)
    # Gray pixels have no hue, and chroma 0 below.
    scale = chroma.clamp(min=1)
    # In sixths of a turn.
    hue = torch.where(
        most == red,
        (green - blue) / scale,
        torch.where(most == green, (blue - red) / scale + 2, (red - green) / scale + 4),
    )
    offsets = torch.tensor([1.0, 3.0, 5.0]).view(1, 3, 1, 1)  # blue, green, red
    k = (_send(offsets, images.device) + hue + 6 * turns).remainder(6)
    return _to_levels(most - chroma * torch.minimum(k, 4 - k).clamp(0, 1))


def gaussian_blur(images: Tensor, taps: Tensor) -> Tensor:
    """Blur with separable filters, extended by the outermost pixels.

    Args:
        images (Tensor): (B, 3, H, W).
        taps (Tensor): The images' weights (B, K) in one direction, K odd.
    """
    number, channels, height, width = images.shape
    taps = taps.repeat_interleave(channels, dim=0, output_size=number * channels)
    reach = taps.shape[1] // 2
    # One channel per plane of each image, since every image has its own filter.
    planes = images.reshape(1, -1, height, width)
    planes = F.pad(planes, [reach] * 4, mode='replicate')
    with torch.autocast(images.device.type, enabled=False):
        planes = F.conv2d(planes, taps[:, None, None, :], groups=len(taps))
        planes = F.conv2d(planes, taps[:, None, :, None], groups=len(taps))
    return _to_levels(planes.reshape(images.shape))


_FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = dict(
    brightness=adjust_brightness,
    contrast=adjust_contrast,
    saturation=adjust_saturation,
    hue=adjust_hue,
    blur=gaussian_blur,
)


def _steps(operations: np.ndarray) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, rows (n,) and values (n, 1, 1, 1) of the operations, slot by slot.

    Each image has one operation per slot, so the order of the names does not matter.
    """
    for slot in range(operations.shape[1]):
        for code, name in enumerate(OPERATIONS):
            rows = np.flatnonzero(operations[:, slot, 0] == code)
            if len(rows):
                values = operations[rows, slot, 1].reshape(-1, 1, 1, 1)
                yield name, torch.from_numpy(rows), torch.from_numpy(values)


def _stack_taps(sigmas: Tensor) -> Tensor:
    """Filters (n, K), padded with zeros to the longest."""
    taps = [blur_taps(sigma) for sigma in sigmas.flatten().tolist()]
    longest = max(map(len, taps))
    padded = np.zeros((len(taps), longest), np.float32)
    for row, one in zip(padded, taps):
        start = (longest - len(one)) // 2
        row[start : start + len(one)] = one
    return torch.from_numpy(padded)


def _send(values: Tensor, device: torch.device) -> Tensor:
    """Copy to the device, without waiting for its earlier work."""
    if device.type == 'cuda':
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def _luma(images: Tensor) -> Tensor:
    """OpenCV's gray image, (B, 1, H, W)."""
    blue, green, red = images.split(1, dim=1)
    total = _LUMA[0] * blue + _LUMA[1] * green + _LUMA[2] * red
    return ((total + 2**14) / 2**15).floor()


def _to_levels(images: Tensor) -> Tensor:
    return images.round().clamp(0, 255)

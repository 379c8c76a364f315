"""Cropping with partial decoding, resizing and flipping."""

import math
from collections.abc import Sequence
from numbers import Real
from types import SimpleNamespace
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmpretrain.datasets.transforms import RandomResizedCrop

from mmlgd.errors import ConfigError
from mmlgd.registry import TRANSFORMS
from mmlgd.utils.checks import check_in_range

from .decoding import REDUCTIONS, decode, jpeg_size, read_encoded

#: A reduced crop keeps at least this multiple of the requested side in pixels.
#: libjpeg's filter is sharper than that of the resizing. From 1.5 on, the remaining
#: difference is at most that of bilinear and bicubic resizing (PSNR 43 dB and more).
MARGIN = 1.5

Box = tuple[int, int, int, int]


class Reading(NamedTuple):
    """An image with the box to crop from it.

    Attributes:
        image (ndarray): (H / reduction, W / reduction, C), rounded up.
        size (tuple[int, int]): (H, W).
        box (tuple[int, int, int, int]): (top, left, height, width) in pixels of
            (H, W).
        reduction (int): One of :data:`~.decoding.REDUCTIONS`.
    """

    image: np.ndarray
    size: tuple[int, int]
    box: Box
    reduction: int


@TRANSFORMS.register_module()
class FastRandomResizedCrop(RandomResizedCrop):
    """Load an image, or use a loaded one, crop a random box and resize it.

    The boxes are those of mmpretrain's ``RandomResizedCrop``, with the distribution of
    torchvision: the same state of numpy's generator yields the same box. The box depends
    only on the size of the whole image, not on ``scale``. Resizing matches Pillow's
    antialiased bilinear filter within one gray level; it uses torch's uint8 kernel.

    If no previous transform has set ``img``, the image is read from ``img_bytes`` (its
    encoded form) if present, otherwise from ``img_path``. A JPEG is then decoded at 1/2,
    1/4 or 1/8 of its sides, if the reduced box still has at least :data:`MARGIN` times
    ``scale`` pixels per side. The box is rounded to the pixels of the reduced image, which
    moves an edge by at most a third of a pixel of the result. Smaller images, such as most
    of ImageNet's, and other formats are decoded in full.

    **Required Keys:** ``img_path``, or ``img``: (H, W, C) or (H, W), uint8 or float32.

    **Modified Keys:** ``img``: BGR uint8 if it was read, contiguous, of the size
    ``scale``; ``img_shape``.

    **Added Keys:** ``crop_box``: (top, left, height, width) in pixels of the whole
    image; ``ori_shape``: (H, W) of the whole image.

    Args:
        scale: Size (h, w) of the result, or its side.
        crop_ratio_range: Range of the ratio of the box's area to the image's, drawn
            uniformly. Defaults to (0.08, 1.0).
        aspect_ratio_range: Range of width over height, drawn uniformly on a
            logarithmic scale. Defaults to (3/4, 4/3).
        max_attempts: Draws before a central box is used. Defaults to 10.
        backend_args: Options of mmengine's file backend. Defaults to None.

    Raises:
        ConfigError: An option is invalid.
        ImageReadError: The file cannot be read or decoded.
    """

    #: Only its ImageReadErrors are caused by the image file.
    separates_reading = True

    def __init__(
        self,
        scale: int | Sequence[int],
        crop_ratio_range: tuple[float, float] = (0.08, 1.0),
        aspect_ratio_range: tuple[float, float] = (3 / 4, 4 / 3),
        max_attempts: int = 10,
        backend_args: dict | None = None,
    ) -> None:
        sides = (scale, scale) if isinstance(scale, int) else scale
        _check_option('scale', scale, _is_size(sides), 'a side or (h, w), in pixels')
        ranges = dict(
            crop_ratio_range=(crop_ratio_range, 1),
            aspect_ratio_range=(aspect_ratio_range, float('inf')),
        )
        for name, (value, most) in ranges.items():
            wanted = f'(min, max) with 0 < min <= max{" <= 1" if most == 1 else ""}'
            _check_option(name, value, _is_range(value, most), wanted)
        tries = _is_count(max_attempts) or max_attempts == 0
        _check_option('max_attempts', max_attempts, tries, 'a non-negative integer')
        super().__init__(scale, crop_ratio_range, aspect_ratio_range, max_attempts)
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Set ``results['img']`` to the resized crop and return ``results``."""
        return self.cut(results, self.read(results))

    def read(self, results: dict) -> Reading:
        """Draw a box and decode the part it needs, unless ``results`` has an image."""
        image = results.get('img')
        if image is None:
            path = results['img_path']
            data = read_encoded(results, self.backend_args)
            size = jpeg_size(data)
            if size is not None and self._reduction(*size) > 1:
                box = self._draw(size)
                reduction = self._reduction(*box[2:])
                image = decode(data, path, reduction)
                # OpenCV could interpret an unusual header differently.
                if image.shape[:2] == tuple(-(-side // reduction) for side in size):
                    return Reading(image, size, box, reduction)
            image = decode(data, path)
        size = image.shape[:2]
        return Reading(image, size, self._draw(size), 1)

    def cut(self, results: dict, reading: Reading) -> dict:
        """Crop and resize the box, and set the keys of :meth:`transform`."""
        image, size, box, reduction = reading
        top, left, height, width = box
        edges = (top, top + height, left, left + width)
        top, bottom, left, right = (round(edge / reduction) for edge in edges)
        # A contiguous copy, which torch resizes faster.
        crop = image[top:bottom, left:right].copy()
        results['img'] = resize(crop, self.scale)
        results['img_shape'] = tuple(self.scale)
        results['ori_shape'] = size
        results['crop_box'] = box
        return results

    def _draw(self, size: tuple[int, int]) -> Box:
        # mmpretrain requires an image, but reads only its shape.
        return self.rand_crop_params(SimpleNamespace(shape=size))

    def _reduction(self, height: int, width: int) -> int:
        most = min(height / self.scale[0], width / self.scale[1]) / MARGIN
        return next(factor for factor in REDUCTIONS if factor == 1 or factor <= most)


@TRANSFORMS.register_module()
class FastRandomFlip(BaseTransform):
    """Flip an image horizontally at random.

    For the same state of numpy's generator, it flips the same images as mmcv's
    ``RandomFlip``. Boxes, masks and key points are not changed: use it only for images
    without them.

    **Required Keys:** ``img``: (H, W, C) or (H, W).

    **Modified Keys:** ``img``, contiguous.

    **Added Keys:** ``flip``, and ``flip_direction``: 'horizontal' or None.

    Args:
        prob: Probability in [0, 1]. Defaults to 0.5.

    Raises:
        ConfigError: ``prob`` is out of range.
    """

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = check_in_range('FastRandomFlip.prob', prob, 0, 1)

    def transform(self, results: dict) -> dict:
        """Flip ``results['img']`` with probability ``prob`` and return ``results``."""
        results['flip'] = self.draw()
        results['flip_direction'] = 'horizontal' if results['flip'] else None
        if results['flip']:
            results['img'] = cv2.flip(results['img'], 1)
        return results

    @cache_randomness
    def draw(self) -> bool:
        """Whether to flip the image."""
        return np.random.random_sample() < self.prob


def resize(image: np.ndarray, scale: Sequence[int]) -> np.ndarray:
    """Resize with Pillow's antialiased bilinear filter, within one gray level.

    Args:
        image: (H, W, C) or (H, W), uint8 or float32, contiguous.
        scale: (h, w).

    Returns:
        ndarray: (h, w, C) or (h, w), contiguous, same dtype.
    """
    planes = image if image.ndim == 3 else image[..., None]
    # torch has a fast uint8 kernel for `channels_last`, and the result keeps this layout.
    batch = torch.from_numpy(planes)[None].permute(0, 3, 1, 2)
    resized = F.interpolate(batch, tuple(scale), mode='bilinear', antialias=True)
    pixels = np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())
    return pixels if image.ndim == 3 else pixels[..., 0]


def _check_option(name: str, value: object, valid: bool, wanted: str) -> None:
    if not valid:
        raise ConfigError(
            f'FastRandomResizedCrop.{name} must be {wanted}, but is {value!r}.'
        )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_size(value: Any) -> bool:
    return _is_pair(value) and all(map(_is_count, value))


def _is_range(value: Any, most: float) -> bool:
    return (
        _is_pair(value)
        and all(isinstance(end, Real) and math.isfinite(end) for end in value)
        and 0 < value[0] <= value[1] <= most
    )


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2
    )

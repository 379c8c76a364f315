"""Colour jitter, grayscale and blur of uint8 BGR images with few OpenCV operations.

They draw the same random numbers as the corresponding transforms of mmpretrain and
mmcv, from the same generators and in the same order, so a seed yields the same view up to
rounding. Those use Pillow or float64 for each change; these stay in uint8 arrays.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from mmcv.transforms import RandomGrayscale
from mmpretrain.datasets.transforms import ColorJitter, GaussianBlur

from mmlgd.errors import DataError
from mmlgd.registry import TRANSFORMS

# Pillow truncates where OpenCV rounds. Slightly less than a half, so that integers are
# kept.
_CUT = -0.499
_STEPS = np.arange(256)


class Operation(NamedTuple):
    """A drawn change of an image.

    Attributes:
        name (str): A key of :data:`OPERATIONS`.
        value (float): Its factor, shift or sigma.
    """

    name: str
    value: float


class Photometric:
    """A transform whose random draws are separate from the pixels.

    Attributes:
        max_operations (int): The most operations that one draw may have.
    """

    max_operations = 1

    def draw(self) -> list[Operation]:
        """Draw the operations for one image, in the order in which they are applied."""
        raise NotImplementedError

    def transform(self, results: dict) -> dict:
        """Replace ``results['img']`` and return ``results``."""
        image = check_colour_image(self, results)
        for name, value in self.draw():
            image = OPERATIONS[name](image, value)
        results['img'] = image
        return results


@TRANSFORMS.register_module()
class FastColorJitter(Photometric, ColorJitter):
    """Change brightness, contrast, saturation and hue, in random order.

    The first three match torchvision's on Pillow images within one gray level. The hue
    is shifted in OpenCV's 8-bit HSV, which is closer to the exact shift than Pillow's.

    **Required Keys:** ``img``: (H, W, 3), uint8, BGR.

    **Modified Keys:** ``img``.

    Args:
        brightness: Half the range of the factor around 1, or the range itself.
            Defaults to 0, no change.
        contrast: As ``brightness``. Defaults to 0.
        saturation: As ``brightness``. Defaults to 0.
        hue: Half the range of the shift around 0, in turns of the colour circle, or
            the range itself. Defaults to 0.

    Raises:
        DataError: The image is not uint8 with three channels.
    """

    max_operations = 4

    def __init__(
        self,
        brightness: float | tuple[float, float] = 0.0,
        contrast: float | tuple[float, float] = 0.0,
        saturation: float | tuple[float, float] = 0.0,
        hue: float | tuple[float, float] = 0.0,
    ) -> None:
        super().__init__(brightness, contrast, saturation, hue)

    def draw(self) -> list[Operation]:
        """See :meth:`Photometric.draw`."""
        order, *factors = self._rand_params()
        return [
            Operation(_JITTER[index], factors[index])
            for index in order
            if factors[index] is not None
        ]


@TRANSFORMS.register_module()
class FastRandomGrayscale(Photometric, RandomGrayscale):
    """Convert an image to gray at random; it keeps three channels.

    The weights are those of ITU-R 601, as in Pillow and torchvision.

    **Required Keys:** ``img``: (H, W, 3), uint8, BGR.

    **Modified Keys:** ``img``.

    Args:
        prob: Probability in [0, 1]. Defaults to 0.1.

    Raises:
        DataError: The image is not uint8 with three channels.
    """

    def __init__(self, prob: float = 0.1) -> None:
        super().__init__(prob, keep_channels=True)

    def draw(self) -> list[Operation]:
        """See :meth:`Photometric.draw`."""
        converts = self._random_prob() < self.prob
        return [Operation('saturation', 0.0)] if converts else []


@TRANSFORMS.register_module()
class FastGaussianBlur(Photometric, GaussianBlur):
    """Blur like Pillow, in one pass per direction and without intermediate rounding.

    Pillow approximates a Gaussian by three successive box filters, with fractional
    weights at both ends, of the same total variance. Here they are combined into one
    filter. The result differs by Pillow's rounding (up to 3 gray levels) and near the
    edges, which Pillow extends before each of the three.

    The arguments are those of mmpretrain: ``magnitude_range``, range of sigma in pixels,
    drawn uniformly with ``magnitude_std='inf'``; ``prob``; or ``radius``, a fixed sigma.

    **Required Keys:** ``img``: (H, W, 3), uint8.

    **Modified Keys:** ``img``.

    Raises:
        DataError: The image is not uint8 with three channels.
    """

    def draw(self) -> list[Operation]:
        """See :meth:`Photometric.draw`."""
        if self.random_disable():
            return []
        sigma = self.random_magnitude() if self.radius is None else self.radius
        return [Operation('blur', sigma)]


def adjust_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply (H, W, 3) uint8 by a factor of at least 0, clipped to [0, 255]."""
    return cv2.addWeighted(image, factor, image, 0, _CUT)


def adjust_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Scale the distance of (H, W, 3) uint8 BGR from its mean luma by a factor."""
    means: Any = cv2.mean(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    luma = means[0]
    offset = (1 - factor) * int(luma + 0.5)
    return cv2.addWeighted(image, factor, image, 0, offset + _CUT)


def adjust_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Scale the distance of (H, W, 3) uint8 BGR from its gray image by a factor."""
    return cv2.addWeighted(image, factor, _gray(image), 1 - factor, _CUT)


def adjust_hue(image: np.ndarray, turns: float) -> np.ndarray:
    """Shift the hue of (H, W, 3) uint8 BGR, in turns of the colour circle."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL)
    # The conversion to HSV has 256 steps per turn, but the conversion back has 255.
    turned = (_STEPS + 256 * turns) % 256 * (255 / 256)
    hue = cv2.LUT(cv2.extractChannel(hsv, 0), np.rint(turned).astype(np.uint8))
    cv2.insertChannel(hue, hsv, 0)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR_FULL)


def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur (H, W, C) uint8 with Pillow's approximation of a Gaussian.

    Args:
        image: Extended beyond its edges by replicating the outermost pixels.
        sigma: Standard deviation in pixels, at least 0.

    """
    taps = blur_taps(sigma)
    return cv2.sepFilter2D(image, -1, taps, taps, borderType=cv2.BORDER_REPLICATE)


def blur_taps(sigma: float) -> np.ndarray:
    """Weights of the blur in one direction, of odd length, float32, of sum 1.

    Source: P. Gwosdek et al., Theoretical foundations of Gaussian convolution by
    extended box filtering, 2011.
    """
    # A box of 2 r + 1 ones with a weight of `ends` at both ends. Three of them have the
    # variance sigma^2.
    variance = sigma**2 / 3
    r = int(((12 * variance + 1) ** 0.5 - 1) / 2)
    ends = (2 * r + 1) * (r * (r + 1) - 3 * variance)
    ends /= 6 * (variance - (r + 1) ** 2)
    box = np.ones(2 * r + 3)
    box[0] = box[-1] = ends
    box /= 2 * (r + ends) + 1
    # Rounded to 1/256: sums over both directions are then exact in float32, and equal on
    # every CPU. Stored views are compared bit for bit.
    taps = np.rint(256 * np.convolve(np.convolve(box, box), box))
    taps[len(taps) // 2] += 256 - taps.sum()
    return (taps / 256).astype(np.float32)


#: Functions of an image and a value, by the name of the operation.
OPERATIONS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = dict(
    brightness=adjust_brightness,
    contrast=adjust_contrast,
    saturation=adjust_saturation,
    hue=adjust_hue,
    blur=gaussian_blur,
)
# In the order of the indices of ColorJitter.
_JITTER = ('brightness', 'contrast', 'saturation', 'hue')


def _gray(image: np.ndarray) -> np.ndarray:
    luma = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR)


def check_colour_image(transform: object, results: dict) -> np.ndarray:
    """Return ``results['img']`` if it is (H, W, 3) uint8; otherwise a DataError."""
    image = results['img']
    is_array = isinstance(image, np.ndarray)
    if not is_array or image.dtype != np.uint8 or image.shape[2:] != (3,):
        found = f'{image.dtype} {image.shape}' if is_array else type(image).__name__
        raise DataError(
            f'{type(transform).__name__} needs uint8 images (H, W, 3), but '
            f'{results.get("img_path", "this image")} is {found}; put GrayToBGR before '
            'it for gray images'
        )
    return image

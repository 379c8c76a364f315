"""Colour jitter, grayscale and blur of uint8 BGR images in few passes of OpenCV.

They draw what their namesakes of mmpretrain and mmcv draw, from the same generators
and in the same order, so that a seed gives the same view up to rounding. Those go
through Pillow or float64 for each change; these stay in uint8 arrays.
"""

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import RandomGrayscale
from mmpretrain.datasets.transforms import ColorJitter, GaussianBlur

from mmlgd.errors import DataError
from mmlgd.registry import TRANSFORMS

# Pillow cuts fractions off where OpenCV rounds. Not quite a half, so that whole numbers
# stay what they are.
_CUT = -0.499
_STEPS = np.arange(256)


@TRANSFORMS.register_module()
class FastColorJitter(ColorJitter):
    """Change brightness, contrast, saturation and hue, in random order.

    The first three are torchvision's on Pillow images within one gray level. The hue
    turns in OpenCV's HSV of 8 bits, which is nearer to the exact turn than Pillow's.

    **Required Keys:** ``img``: (H, W, 3), uint8, BGR.

    **Modified Keys:** ``img``.

    Args:
        brightness: Half the range of the factor around 1, or the range itself.
            Defaults to 0, no change.
        contrast: Alike. Defaults to 0.
        saturation: Alike. Defaults to 0.
        hue: Half the range of the shift around 0, in turns of the colour circle, or
            the range itself. Defaults to 0.

    Raises:
        DataError: The image is not uint8 with three channels.
    """

    def __init__(
        self,
        brightness: float | tuple[float, float] = 0.0,
        contrast: float | tuple[float, float] = 0.0,
        saturation: float | tuple[float, float] = 0.0,
        hue: float | tuple[float, float] = 0.0,
    ) -> None:
        super().__init__(brightness, contrast, saturation, hue)

    def transform(self, results: dict) -> dict:
        """Replace ``results['img']`` and return ``results``."""
        image = _colour_image(self, results)
        order, *factors = self._rand_params()
        for index in order:
            if factors[index] is not None:
                image = _ADJUSTMENTS[index](image, factors[index])
        results['img'] = image
        return results


@TRANSFORMS.register_module()
class FastRandomGrayscale(RandomGrayscale):
    """Turn an image gray at random; it keeps its three channels.

    The weights are ITU-R 601's, as Pillow's and torchvision's.

    **Required Keys:** ``img``: (H, W, 3), uint8, BGR.

    **Modified Keys:** ``img``.

    Args:
        prob: Probability in [0, 1]. Defaults to 0.1.

    Raises:
        DataError: The image is not uint8 with three channels.
    """

    def __init__(self, prob: float = 0.1) -> None:
        super().__init__(prob, keep_channels=True)

    def transform(self, results: dict) -> dict:
        """Replace ``results['img']`` at times and return ``results``."""
        image = _colour_image(self, results)
        if self._random_prob() < self.prob:
            results['img'] = _gray(image)
        return results


@TRANSFORMS.register_module()
class FastGaussianBlur(GaussianBlur):
    """Blur as Pillow does, in one pass a direction and without rounding between.

    Pillow takes three box filters in a row, with a fraction of a pixel at both ends,
    for a Gaussian of the same variance; here they are one filter. The difference is
    Pillow's rounding (up to 3 gray levels), and near the edges, which Pillow repeats
    again before each of the three.

    Args, which are mmpretrain's: ``magnitude_range``, range of sigma in pixels, with
    ``magnitude_std='inf'`` drawn uniformly; ``prob``; or ``radius``, a fixed sigma.

    **Required Keys:** ``img``: (H, W, 3), uint8.

    **Modified Keys:** ``img``.

    Raises:
        DataError: The image is not uint8 with three channels.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``results['img']`` at times and return ``results``."""
        image = _colour_image(self, results)
        if self.random_disable():
            return results
        sigma = self.random_magnitude() if self.radius is None else self.radius
        results['img'] = gaussian_blur(image, sigma)
        return results


def adjust_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply (H, W, 3) uint8 by a factor of at least 0, cut to [0, 255]."""
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
    """Shift the hue of (H, W, 3) uint8 BGR by a share of the colour circle."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL)
    # The circle has 256 steps on the way there, but 255 on the way back.
    turned = (_STEPS + 256 * turns) % 256 * (255 / 256)
    hue = cv2.LUT(cv2.extractChannel(hsv, 0), np.rint(turned).astype(np.uint8))
    cv2.insertChannel(hue, hsv, 0)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR_FULL)


# In the order in which ColorJitter numbers them.
_ADJUSTMENTS = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)


def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur (H, W, C) uint8 by the filter that Pillow takes for a Gaussian.

    Args:
        image: Continued beyond its edges by its outermost pixels.
        sigma: Standard deviation in pixels, at least 0.

    Source: P. Gwosdek et al., Theoretical foundations of Gaussian convolution by
    extended box filtering, 2011.
    """
    # A box of 2 r + 1 ones with a weight of `ends` at either end, three of which have
    # the variance sigma^2 together.
    variance = sigma**2 / 3
    r = int(((12 * variance + 1) ** 0.5 - 1) / 2)
    ends = (2 * r + 1) * (r * (r + 1) - 3 * variance)
    ends /= 6 * (variance - (r + 1) ** 2)
    box = np.ones(2 * r + 3)
    box[0] = box[-1] = ends
    box /= 2 * (r + ends) + 1
    # In 256ths: sums of both directions then fit into a float32, and come out the same
    # on every processor. Stored views are compared bit for bit.
    taps = np.rint(256 * np.convolve(np.convolve(box, box), box))
    taps[len(taps) // 2] += 256 - taps.sum()
    taps = (taps / 256).astype(np.float32)
    return cv2.sepFilter2D(image, -1, taps, taps, borderType=cv2.BORDER_REPLICATE)


def _gray(image: np.ndarray) -> np.ndarray:
    luma = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR)


def _colour_image(transform: object, results: dict) -> np.ndarray:
    image = results['img']
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        where = results.get('img_path', 'this image')
        raise DataError(
            f'{type(transform).__name__} takes uint8 images (H, W, 3), but {where} is '
            f'{image.dtype} {image.shape}; put GrayToBGR before it for gray images'
        )
    return image

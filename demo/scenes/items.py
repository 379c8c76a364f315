"""Fashion-MNIST items cut out of their black background, at any size."""

from typing import NamedTuple

import cv2
import numpy as np

# Gray levels up to this value occur as specks around an item, and in dark fabric.
_DARK = 16
_LARGEST_FILLED_HOLE = 10
_SMALLEST_PART = 0.2
# In pixels of the 28x28 image: smooths the outline, and keeps straps that are one pixel
# wide above 0.5.
_OUTLINE_BLUR = 0.45


class CutOut(NamedTuple):
    """An item at its size in a scene.

    Attributes:
        gray (np.ndarray): (h, w) float32, gray levels 0 to 255; outside the outline,
            the nearest levels of the item.
        alpha (np.ndarray): (h, w) float32, opacity 0 to 1; at least 0.5 in the item's
            pixels.
    """

    gray: np.ndarray
    alpha: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """The item's pixels, (h, w) bool."""
        return self.alpha >= 0.5


def silhouette(image: np.ndarray) -> np.ndarray:
    """Find an item's pixels, without background that it encloses.

    The background is exactly 0, dark fabric is not. Areas with levels 1 to 16 belong to
    the item, single specks do not. Edge pixels that are less than half as bright as the
    fabric inside are mostly background. An enclosed area is filled if it is small (a
    button, a seam) or mostly not 0 (a dark print). Other enclosed areas (between a bag
    and its handle, between the straps of a sandal) are background.

    Args:
        image: (H, W) uint8, a bright item on a background of 0.

    Returns:
        np.ndarray: (H, W) bool; empty only if the image has no level above 16.
    """
    square = np.ones((3, 3), np.uint8)
    dark = ((image > 0) & (image <= _DARK)).astype(np.uint8)
    fabric = cv2.morphologyEx(dark, cv2.MORPH_OPEN, square) > 0
    item = _without_specks(fabric | (image > _DARK))
    item |= _filled_holes(image, item)
    core = cv2.erode(item.astype(np.uint8), square, borderValue=0)
    half_covered = image >= 0.5 * _nearby_levels(image, core)
    return _without_specks(item & (half_covered | (core > 0) | fabric))


def _without_specks(item: np.ndarray) -> np.ndarray:
    """Keep the largest connected part, and parts with at least a fifth of its area."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(item.astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA]
    large = [k for k in range(1, count) if areas[k] >= _SMALLEST_PART * areas[1:].max()]
    return np.isin(parts, large)


def _nearby_levels(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Weighted mean level of nearby ``inside`` pixels; 0 far from them.

    Args:
        image: (H, W) gray levels.
        inside: (H, W), 1 for pixels that count, 0 for others.
    """
    inside = inside.astype(np.float32)
    weight = cv2.GaussianBlur(inside, (5, 5), 1.0)
    total = cv2.GaussianBlur(image.astype(np.float32) * inside, (5, 5), 1.0)
    return total / np.maximum(weight, 1e-3)


def _filled_holes(image: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Enclosed areas that are not background, (H, W) bool."""
    around = np.pad(~item, 1, constant_values=True).astype(np.uint8)
    count, parts = cv2.connectedComponents(around, connectivity=4)
    parts = parts[1:-1, 1:-1]
    filled = np.zeros_like(item)
    # Part 0 is the item, part 1 (found first, at the corner) the outside.
    for part in range(2, count):
        hole = parts == part
        small = hole.sum() <= _LARGEST_FILLED_HOLE
        if small or (image[hole] > 0).mean() > 0.5:
            filled |= hole
    return filled


def cut_out(image: np.ndarray, longer_side: float) -> CutOut:
    """Cut an item out and scale it smoothly.

    Args:
        image: (H, W) uint8, as for :func:`silhouette`.
        longer_side: Larger of the item's height and width, in pixels.

    Returns:
        CutOut: One image pixel larger than the item on each side.
    """
    item = silhouette(image)
    left, top, width, height = cv2.boundingRect(item.astype(np.uint8))
    crop = (slice(top, top + height), slice(left, left + width))
    inside = np.pad(item[crop], 1).astype(np.float32)
    gray = np.pad(image[crop], 1).astype(np.float32)
    # Extend nearby levels beyond the outline, so scaling does not mix in the black
    # background.
    gray = np.where(inside > 0, gray, _nearby_levels(gray, inside))
    factor = longer_side / max(height, width)
    shape = tuple(max(2, round(factor * side)) for side in reversed(inside.shape))
    soft = cv2.GaussianBlur(
        cv2.resize(inside, shape, interpolation=cv2.INTER_LINEAR),
        (0, 0),
        _OUTLINE_BLUR * factor,
    )
    # The blurred edge rises by about 0.9 / factor per pixel; scale this to 1.
    alpha = np.clip((soft - 0.5) * max(factor, 1.0) + 0.5, 0, 1)
    gray = cv2.resize(gray, shape, interpolation=cv2.INTER_CUBIC)
    return CutOut(np.clip(gray, 0, 255), alpha)

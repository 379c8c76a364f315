"""One scene: overlapping items on a textured background, and their visible pixels."""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from .grounds import textured_ground
from .items import cut_out

# Number of items in a scene before hidden ones are removed.
MIN_ITEMS, MAX_ITEMS = 3, 6
# Longer side of an item, relative to the scene's side.
_SMALLEST, _LARGEST = 0.175, 0.6
# Share of an item's side that may be outside the scene.
_OVERHANG = 0.15
_LEAST_VISIBLE = 0.25


@dataclass(frozen=True)
class Instance:
    """An item of a scene.

    Attributes:
        category (int): Index of the category, 0 to 9.
        item (int): Index of the image in its split of Fashion-MNIST.
        mask (np.ndarray): (size, size) bool, its visible pixels.
    """

    category: int
    item: int
    mask: np.ndarray


@dataclass(frozen=True)
class Scene:
    """A scene with its ground truth.

    Attributes:
        image (np.ndarray): (size, size, 3) uint8, BGR.
        instances (list[Instance]): From bottom to top; their masks are disjoint.
    """

    image: np.ndarray
    instances: list[Instance]


class _Placed(NamedTuple):
    """An item placed in the scene; all arrays are (size, size) or (size, size, 3)."""

    index: int
    colour: np.ndarray
    alpha: np.ndarray
    area: int


def compose_scene(
    images: np.ndarray,
    labels: np.ndarray,
    candidates: np.ndarray,
    size: int,
    rng: np.random.Generator,
) -> Scene:
    """Put three to six items on a background, each on top of the previous ones.

    Items of which less than a quarter is visible are omitted, so every visible pixel of
    an item belongs to an instance.

    Args:
        images: (N, 28, 28) uint8, a split of Fashion-MNIST.
        labels: (N,) its categories.
        candidates: At least six indices of items; the first ones are used.
        size: Height and width of the scene in pixels.
        rng: Source of all random choices.
    """
    canvas = textured_ground(size, rng)
    count = rng.integers(MIN_ITEMS, MAX_ITEMS + 1)
    placed = [
        _place(images[index], int(index), size, rng) for index in candidates[:count]
    ]
    instances = []
    for item, mask in _visible(placed):
        canvas += (item.colour - canvas) * item.alpha[..., None]
        instances.append(Instance(int(labels[item.index]), item.index, mask))
    return Scene(np.clip(np.rint(canvas), 0, 255).astype(np.uint8), instances)


def _place(
    image: np.ndarray, index: int, size: int, rng: np.random.Generator
) -> _Placed:
    """Choose size, orientation, tint and position of an item."""
    span = size * np.exp(rng.uniform(np.log(_SMALLEST), np.log(_LARGEST)))
    item = cut_out(image[:, ::-1] if rng.random() < 0.5 else image, float(span))
    height, width = item.alpha.shape
    top, left = (
        rng.uniform(-_OVERHANG * side, size - (1 - _OVERHANG) * side)
        for side in (height, width)
    )
    # Shift by whole pixels, so the outline does not change.
    shift = np.float32([[1, 0, np.rint(left)], [0, 1, np.rint(top)]])
    gray, alpha = (
        cv2.warpAffine(plane, shift, (size, size), flags=cv2.INTER_NEAREST)
        for plane in item
    )
    return _Placed(index, gray[..., None] * _tint(rng), alpha, int(item.mask.sum()))


def _tint(rng: np.random.Generator) -> np.ndarray:
    """A light colour to multiply gray levels by, (3,) float32, BGR, 0 to 1."""
    hsv = np.float32([[[rng.uniform(0, 360), rng.uniform(0, 0.35), 1]]])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]


def _visible(placed: list[_Placed]) -> list[tuple[_Placed, np.ndarray]]:
    """Sufficiently visible items from bottom to top, with their visible pixels."""
    kept: list[tuple[_Placed, np.ndarray]] = []
    covered = np.zeros(placed[0].alpha.shape, bool)
    # From top to bottom, as omitted items must not cover others.
    for item in reversed(placed):
        whole = item.alpha >= 0.5
        mask = whole & ~covered
        if mask.sum() >= _LEAST_VISIBLE * item.area:
            kept.append((item, mask))
            covered |= whole
    return kept[::-1]

"""One scene: items over one another on a textured ground, and what is visible."""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from .grounds import textured_ground
from .items import cut_out

# Items of a scene before hidden ones are dropped.
MIN_ITEMS, MAX_ITEMS = 3, 6
# Longer side of an item, as a share of the scene's side.
_SMALLEST, _LARGEST = 0.175, 0.6
# Share of an item's side that may stand out of the scene.
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
    """A picture and its truth.

    Attributes:
        image (np.ndarray): (size, size, 3) uint8, BGR.
        instances (list[Instance]): From the lowest to the topmost; their masks are
            disjoint.
    """

    image: np.ndarray
    instances: list[Instance]


class _Placed(NamedTuple):
    """An item as it lies in the scene, all arrays (size, size) or (size, size, 3)."""

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
    """Put three to six items on a ground, each over the ones before it.

    An item of which less than a quarter would be seen is left out altogether, so
    that every visible pixel of an item belongs to an instance.

    Args:
        images: (N, 28, 28) uint8, a split of Fashion-MNIST.
        labels: (N,) its categories.
        candidates: At least six indices into them; the first ones are taken.
        size: Height and width of the scene in pixels.
        rng: Its state decides all that is random.
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
    """Give an item its size, side, tint and place."""
    span = size * np.exp(rng.uniform(np.log(_SMALLEST), np.log(_LARGEST)))
    item = cut_out(image[:, ::-1] if rng.random() < 0.5 else image, float(span))
    height, width = item.alpha.shape
    top, left = (
        rng.uniform(-_OVERHANG * side, size - (1 - _OVERHANG) * side)
        for side in (height, width)
    )
    # A whole-pixel shift: the outline stays as it was cut.
    shift = np.float32([[1, 0, np.rint(left)], [0, 1, np.rint(top)]])
    gray, alpha = (
        cv2.warpAffine(plane, shift, (size, size), flags=cv2.INTER_NEAREST)
        for plane in item
    )
    return _Placed(index, gray[..., None] * _tint(rng), alpha, int(item.mask.sum()))


def _tint(rng: np.random.Generator) -> np.ndarray:
    """A light colour to multiply gray levels with, (3,) float32, BGR, 0 to 1."""
    hsv = np.float32([[[rng.uniform(0, 360), rng.uniform(0, 0.35), 1]]])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]


def _visible(placed: list[_Placed]) -> list[tuple[_Placed, np.ndarray]]:
    """Items that are seen well enough, lowest first, with their visible pixels."""
    kept: list[tuple[_Placed, np.ndarray]] = []
    covered = np.zeros(placed[0].alpha.shape, bool)
    # From the top: what is dropped covers nothing.
    for item in reversed(placed):
        whole = item.alpha >= 0.5
        mask = whole & ~covered
        if mask.sum() >= _LEAST_VISIBLE * item.area:
            kept.append((item, mask))
            covered |= whole
    return kept[::-1]

"""Fashion-MNIST files made by the tests: flat shapes with known gray level and
label."""

from pathlib import Path

import numpy as np

from demo.fashion_mnist import SPLIT_FILES


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write an idx file of unsigned bytes."""
    shape = b''.join(side.to_bytes(4, 'big') for side in array.shape)
    header = bytes((0, 0, 8, array.ndim)) + shape
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def flat_items(levels: list[int]) -> np.ndarray:
    """(N, 28, 28) uint8: an upright rectangle of each gray level."""
    images = np.zeros((len(levels), 28, 28), np.uint8)
    for image, level in zip(images, levels):
        image[2:26, 6:22] = level
    return images


def write_source(folder: Path, num_items: int = 12) -> Path:
    """A source whose training items are all of label 0 and test items of label 5."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, label in (('train', 0), ('test', 5)):
        image_file, label_file = SPLIT_FILES[split]
        write_idx(folder / image_file, flat_items([200 + label] * num_items))
        write_idx(folder / label_file, np.full(num_items, label))
    return folder

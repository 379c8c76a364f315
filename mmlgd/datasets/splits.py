"""Seeded subsets of images, class by class, and the files that list them.

Each class is shuffled separately with the seed (seed, class index), and a subset takes
the first images of that order. The images of a class therefore do not depend on the
other classes, and a larger subset of the same seed contains a smaller one.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.atomic import write_atomically
from mmlgd.utils.rng import mix_seed

# Paths relative to the image folder, one list per class, in class order.
Classes = Sequence[Sequence[str]]


def shuffled_classes(classes: Classes, seed: int) -> list[list[str]]:
    """Each class in its seeded order, independent of the order of its images.

    Raises:
        ConfigError: If the seed is negative.
    """
    if seed < 0:
        raise ConfigError(f'the seed must not be negative, but is {seed}.')
    shuffled = []
    for index, images in enumerate(classes):
        order = np.random.default_rng(mix_seed(seed, index)).permutation(len(images))
        ordered = sorted(images)
        shuffled.append([ordered[position] for position in order])
    return shuffled


def take_shots(classes: Classes, shots: int, seed: int) -> list[list[str]]:
    """Choose the same number of images of every class.

    Args:
        classes: Images of each class.
        shots: Images per class, at least 1.
        seed: Not negative.

    Raises:
        ConfigError: If ``shots`` or ``seed`` is too small.
        DataError: If a class has fewer images.
    """
    if shots < 1:
        raise ConfigError(f'shots must be at least 1, but is {shots}.')
    smallest = min(range(len(classes)), key=lambda index: len(classes[index]))
    if len(classes[smallest]) < shots:
        raise DataError(
            f'class {smallest} has {len(classes[smallest])} images, fewer than the '
            f'{shots} requested: use fewer shots, or complete the dataset.'
        )
    return [images[:shots] for images in shuffled_classes(classes, seed)]


def take_percent(classes: Classes, percent: int, seed: int) -> list[list[str]]:
    """Choose a share of the images, each class in proportion to its size.

    The total is rounded down and distributed by the method of largest remainders. A
    class that would have no image keeps one, beyond that total.

    Args:
        classes: Images of each class.
        percent: Whole number, 1 to 99.
        seed: Not negative.

    Raises:
        ConfigError: If ``percent`` or ``seed`` is out of range.
        DataError: If a class has no image.
    """
    if not 1 <= percent <= 99:
        raise ConfigError(f'the percentage must be 1 to 99, but is {percent}.')
    sizes = np.array([len(images) for images in classes])
    quotas = sizes * percent // 100
    remainder = int(sizes.sum()) * percent // 100 - int(quotas.sum())
    # Stable: of equal remainders the first classes win.
    quotas[np.argsort(-(sizes * percent % 100), kind='stable')[:remainder]] += 1
    if (sizes == 0).any():
        raise DataError(
            f'class {int(sizes.argmin())} has no image: complete the dataset, or remove '
            'the class.'
        )
    quotas = np.maximum(quotas, 1)
    shuffled = shuffled_classes(classes, seed)
    return [images[:quota] for images, quota in zip(shuffled, quotas)]


def draw_labelled(labels: torch.Tensor, percent: int, seed: int) -> torch.Tensor:
    """Choose the images whose labels may be used, in proportion to the class sizes.

    Classes of too few images keep one, see :func:`take_percent`.

    Args:
        labels: Class (N,) int64 of every image.
        percent: Whole number, 1 to 100.
        seed: Not negative.

    Returns:
        torch.Tensor: Their indices (M,) int64, ascending.

    Raises:
        ConfigError: As :func:`take_percent`.
    """
    if percent == 100:
        return torch.arange(len(labels))
    classes = [
        list(map(str, (labels == label).nonzero()[:, 0].tolist()))
        for label in labels.unique()
    ]
    taken = take_percent(classes, percent, seed)
    return torch.tensor(sorted(int(index) for indices in taken for index in indices))


def train_test(
    classes: Classes, num_train: int, seed: int
) -> tuple[list[list[str]], list[list[str]]]:
    """Split every class: ``num_train`` images for training, the rest for testing.

    Raises:
        ConfigError: As :func:`take_shots`.
        DataError: If a class would have no test image.
    """
    train = take_shots(classes, num_train, seed)
    test = [sorted({*images} - {*taken}) for images, taken in zip(classes, train)]
    for index, images in enumerate(test):
        if not images:
            raise DataError(
                f'class {index} has no image beyond the {num_train} for training: use '
                'fewer.'
            )
    return train, test


def annotation_lines(classes: Classes) -> list[str]:
    """Lines of mmpretrain's ``ann_file``: 'path label', classes in order."""
    return [
        f'{image} {label}'
        for label, images in enumerate(classes)
        for image in sorted(images)
    ]


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Write a UTF-8 text file atomically."""
    write_atomically(path, ''.join(f'{line}\n' for line in lines))

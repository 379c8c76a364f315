"""Matching of the classes of a dataset to names.

A label is an index into a list of classes, so the same label can mean different classes
in different datasets. Every evaluation uses this module to match classes by name and to
refuse those that do not match.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log

from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.dataset_configs import innermost_datasets

from .name_matching import LEFT_OUT, listed, match_classes

__all__ = [
    'LEFT_OUT',
    'check_label_range',
    'dataset_classes',
    'dataset_labels',
    'match_classes',
    'match_dataset',
    'match_labels',
]
_SET_CLASSES = (
    'To check it, set classes=[...] of its dataset to its class names, in the order of '
    'its labels.'
)


def match_dataset(
    dataset: Any,
    names: Sequence[str],
    place: str = 'the dataset',
    class_names: Mapping[str, str | None] | None = None,
) -> list[int]:
    """Match the classes of a dataset, which may be wrapped, to names.

    A dataset without class names is accepted if its labels are below C, with a warning
    that their order could not be checked.

    Args:
        dataset (Any): It or a wrapped dataset has ``metainfo['classes']`` or ``classes``.
        names (Sequence[str]): The C names.
        place (str): Name of the dataset in messages, such as 'val_dataloader'.
        class_names (Mapping[str, str | None], optional): See :func:`match_classes`.

    Returns:
        list[int]: Index of the name of each label; :data:`LEFT_OUT` for a label whose
        images are excluded.

    Raises:
        ConfigError: As in :func:`match_classes`, or concatenated datasets have different
            classes.
        DataError: The dataset is empty, has no labels, or has a label without a class.
    """
    if hasattr(dataset, '__len__') and len(dataset) == 0:
        raise DataError(f'{place} has no images: check its data_root and ann_file.')
    classes = dataset_classes(dataset, place)
    check_label_range(
        dataset_labels(dataset, place),
        len(names if classes is None else classes),
        place,
    )
    if classes is not None:
        return match_classes(classes, names, place, class_names)
    if class_names:
        raise ConfigError(
            f'class_names is set, but {place} has no class names to translate. '
            f'{_SET_CLASSES}'
        )
    print_log(
        f'{place} has no class names. Its labels are used as indices into the '
        f'{len(names)} names, and their order could not be checked. {_SET_CLASSES}',
        'current',
        logging.WARNING,
    )
    return list(range(len(names)))


def match_labels(train: Any, test: Any) -> tuple[list[str] | None, list[int] | None]:
    """Match the labels of a test set to those of a labelled training set.

    Args:
        train (Any): Dataset whose labels a classifier predicts.
        test (Any): Dataset that the classifier is tested on.

    Returns:
        tuple[list[str] | None, list[int] | None]: Class names of the training set, and
        the training label of each test label. None, None if one of the datasets has no
        class names: the labels are then used unchanged, with a warning.

    Raises:
        ConfigError: As in :func:`match_classes`.
        DataError: As in :func:`match_dataset`.
    """
    places = ('the training set', 'the test set')
    names, others = map(dataset_classes, (train, test), places)
    if names is not None and others is not None:
        check_label_range(dataset_labels(train, places[0]), len(names), places[0])
        return names, match_dataset(test, names, places[1])
    for classes, place in zip((names, others), places):
        if classes is None:
            print_log(
                f'{place} has no class names, so it could not be checked whether training '
                f'and test set number their classes identically. {_SET_CLASSES}',
                'current',
                logging.WARNING,
            )
    return None, None


def dataset_classes(dataset: Any, place: str = 'the dataset') -> list[str] | None:
    """Class names in the order of the labels; None if the dataset has none.

    The innermost datasets are read first, since a wrapper may have copied its metainfo
    before they loaded their annotations.

    Raises:
        ConfigError: Concatenated datasets have different classes.
    """
    parts = [_own_classes(part) for part in innermost_datasets(dataset)]
    if any(part != parts[0] for part in parts):
        other = next(part for part in parts if part != parts[0])
        raise ConfigError(
            f'{place} concatenates datasets with different classes, so its labels are '
            f'ambiguous: {listed(parts[0] or [])} and {listed(other or [])}. Set the same '
            'classes=[...] for all of them, in the order of their labels.'
        )
    return parts[0] or _own_classes(dataset) or None


def dataset_labels(dataset: Any, place: str = 'the dataset') -> np.ndarray | None:
    """Labels (N,) of all images, without loading them; None if not available.

    Raises:
        DataError: Images have no labels.
    """
    parts = innermost_datasets(dataset)
    if not all(hasattr(part, 'get_gt_labels') for part in parts):
        return None
    try:
        return np.concatenate([np.ravel(part.get_gt_labels()) for part in parts])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f'{place} contains images without a label: use a labelled dataset, or pass '
            '--no-validate.'
        ) from error


def check_label_range(
    labels: Sequence[int] | np.ndarray | torch.Tensor | None,
    num_classes: int,
    place: str,
) -> None:
    """Refuse labels outside of the classes.

    Raises:
        DataError: A label is negative, or not below ``num_classes``.
    """
    if labels is None or len(labels) == 0:
        return
    numbers = torch.as_tensor(labels)
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high >= num_classes:
        raise DataError(
            f'{place} has labels from {low} to {high}, but {num_classes} classes, which '
            f'are numbered from 0 to {num_classes - 1}. Correct the labels, or set '
            'classes=[...] of its dataset with a name for each label.'
        )


def _own_classes(dataset: Any) -> list[str] | None:
    metainfo = getattr(dataset, 'metainfo', None) or {}
    for found in (
        metainfo.get('classes'),
        metainfo.get('CLASSES'),
        getattr(dataset, 'classes', None),  # torchvision
    ):
        if isinstance(found, (list, tuple)):
            return [str(name) for name in found]
    return None

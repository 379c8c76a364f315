"""Walks nested datasets, built or as configs, to those that hold the images."""

from collections.abc import Mapping
from typing import Any


def innermost_datasets(dataset: Any) -> list:
    """The datasets inside all wrappers, in the order of a concatenation.

    A wrapper is whatever has ``datasets`` (a list) or ``dataset``, as a key of a config
    or as an attribute: those of mmengine, mmpretrain, torch and mmlgd. A wrapper is
    never itself among the results.

    Args:
        dataset (Any): A dataset or its config.

    Returns:
        list: At least one dataset, or config, that wraps no other.

    Example:
        >>> part = dict(type='CustomDataset')
        >>> innermost_datasets(dict(type='ConcatDataset', datasets=[part, part]))
        [{'type': 'CustomDataset'}, {'type': 'CustomDataset'}]
    """
    inner = _child(dataset, 'datasets')
    # Some datasets keep names under `datasets`; a wrapper keeps datasets.
    if isinstance(inner, (list, tuple)) and inner and not isinstance(inner[0], str):
        return [leaf for part in inner for leaf in innermost_datasets(part)]
    inner = _child(dataset, 'dataset')
    if inner is None or isinstance(inner, str):
        return [dataset]
    return innermost_datasets(inner)


def _child(dataset: Any, name: str) -> Any:
    if isinstance(dataset, Mapping):
        return dataset.get(name)
    return getattr(dataset, name, None)

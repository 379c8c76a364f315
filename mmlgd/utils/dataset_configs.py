"""Datasets inside of wrappers, built or as configs."""

from collections.abc import Mapping
from typing import Any


def innermost_datasets(dataset: Any) -> list:
    """The datasets inside all wrappers, in the order of a concatenation.

    A wrapper has ``datasets`` (a list) or ``dataset``, as a key of a config or as an
    attribute, as those of mmengine, mmpretrain, torch and mmlgd. Wrappers themselves are
    not returned.

    Args:
        dataset (Any): A dataset or its config.

    Returns:
        list: At least one dataset, or config, that is not a wrapper.

    Example:
        >>> part = dict(type='CustomDataset')
        >>> innermost_datasets(dict(type='ConcatDataset', datasets=[part, part]))
        [{'type': 'CustomDataset'}, {'type': 'CustomDataset'}]
    """
    inner = _child(dataset, 'datasets')
    # `datasets` of some datasets are names; those of a wrapper are datasets.
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

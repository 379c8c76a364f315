"""Descriptions of pipelines as plain data, for comparisons."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from mmlgd.errors import ConfigError

from .dataset_wrapper import find_wrapper

#: Transforms whose ``scale`` sets the output size only, not the drawn parameters.
_RESIZING = ('RandomResizedCrop', 'FastRandomResizedCrop', 'Resize')
#: Options without influence on the pixels.
_NO_PIXELS = {'PackInputs': {'meta_keys', 'algorithm_keys'}}


class Difference(NamedTuple):
    """One option in which two pipelines differ.

    Attributes:
        option (str): For example 'mmpretrain.RandomResizedCrop.crop_ratio_range'.
        stored (Any): Its value in the store.
        here (Any): Its value in the dataset.
        resolution (bool): Whether it only sets the output size.
    """

    option: str
    stored: Any
    here: Any
    resolution: bool = False


def describe_pipeline(dataset: Any) -> list | None:
    """Describe the transforms of a dataset, which may be wrapped.

    The built transforms are described, with their defaults, instead of the config, which
    can express the same pipeline in several ways.

    Returns:
        list or None: List of dicts, as loaded from JSON; None without a pipeline.
    """
    transforms = _transforms(dataset)
    return None if transforms is None else _describe(transforms)


def check_draws_whole_views(store: str, described: list | None) -> None:
    """Check that a pipeline, as described, gives views as models see them.

    Args:
        store (str): What the views are for, for the message.
        described (list, optional): See :func:`describe_pipeline`.

    Raises:
        ConfigError: A part of the augmentation is applied on the device.
    """
    if 'PackForDevice' in (one['type'].split('.')[-1] for one in described or ()):
        raise ConfigError(
            f'{store} has views as its teacher saw them, but PackForDevice leaves their '
            'colours and blur to the device; they cannot be combined. Put the transforms '
            'of PackForDevice before mmpretrain.PackInputs instead, as in '
            'configs/_base_/datasets/imagenet_unlabeled.py, or train with the online '
            'teacher (SeededViews).'
        )


def compare_pipelines(stored: list | None, here: list | None) -> list[Difference]:
    """Differences of two descriptions of :func:`describe_pipeline`."""
    return list(_compare('pipeline', stored, here))


def check_pipeline(
    store: str, stored: list | None, here: list | None, other_size: bool = False
) -> bool:
    """Check that a pipeline draws the views of a store.

    Args:
        store (str): The store, for the message.
        stored (list, optional): Description of its pipeline.
        here (list, optional): Description of the dataset's pipeline.
        other_size (bool): Whether its output size may differ. Defaults to False.

    Returns:
        bool: Whether the output size is that of the store, too.

    Raises:
        ConfigError: An option differs, which is named; or a part of the augmentation is
            applied on the device.
    """
    check_draws_whole_views(store, here)
    differences = compare_pipelines(stored, here)
    for option, old, new, is_size in differences:
        if not (is_size and other_size):
            raise ConfigError(
                f'{store} was made with {option} = {old!r}, but the dataset has {new!r}: '
                'its embeddings are of other views. Set what the store has, or build a '
                'store of these transforms.'
            )
    return not differences


def _transforms(dataset: Any) -> list | None:
    pipeline = getattr(find_wrapper(dataset, 'pipeline'), 'pipeline', None)
    return getattr(pipeline, 'transforms', None)


def _describe(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_describe(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _describe(one) for key, one in value.items()}
    if isinstance(value, BaseTransform | Compose):
        kind = type(value)
        hidden = _NO_PIXELS.get(kind.__name__, ())
        options = {
            key: _describe(one)
            for key, one in sorted(vars(value).items())
            if not key.startswith('_') and key not in hidden
        }
        return dict(type=f'{kind.__module__.split(".")[0]}.{kind.__name__}', **options)
    # A function, or an object without a description.
    return getattr(value, '__qualname__', type(value).__qualname__)


def _compare(place: str, stored: Any, here: Any) -> Iterator[Difference]:
    if stored == here:
        return
    if _types(stored) and _types(stored) == _types(here):
        for one, other in zip(stored, here):
            yield from _compare(one['type'], one, other)
    elif _types(stored) and isinstance(here, list):
        yield Difference(place, _types(stored), _types(here))
    elif _types([stored]) and _types([here]):
        is_resizing = str(stored['type']).split('.')[-1] in _RESIZING
        for key in sorted({*stored, *here}):
            pair = stored.get(key), here.get(key)
            if is_resizing and key == 'scale' and pair[0] != pair[1]:
                yield Difference(f'{place}.scale', *pair, resolution=True)
            else:
                yield from _compare(f'{place}.{key}', *pair)
    else:
        yield Difference(place, stored, here)


def _types(values: Any) -> list[str]:
    """Names of the transforms in a list; empty if it has other elements."""
    if not isinstance(values, list):
        return []
    is_pipeline = all(isinstance(one, dict) and 'type' in one for one in values)
    return [one['type'] for one in values] if is_pipeline else []

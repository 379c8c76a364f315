"""Transforms as plain data, so that two pipelines can be compared."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from .dataset_wrapper import find_wrapper

#: Transforms whose ``scale`` leaves the drawn parameters alone and sizes the outcome.
_RESIZING = ('RandomResizedCrop', 'FastRandomResizedCrop', 'Resize')
#: Options that have nothing to do with pixels.
_NO_PIXELS = {'PackInputs': {'meta_keys', 'algorithm_keys'}}


class Difference(NamedTuple):
    """One option in which two pipelines differ.

    Attributes:
        option (str): E.g. 'mmpretrain.RandomResizedCrop.crop_ratio_range'.
        stored (Any): Its value in the store.
        here (Any): Its value in the dataset.
        resolution (bool): Whether it only sizes the outcome.
    """

    option: str
    stored: Any
    here: Any
    resolution: bool = False


def describe_pipeline(dataset: Any) -> list | None:
    """The transforms of a dataset, or of the one within its wrappers.

    What they were built to, defaults included, and not the config, which can say
    one thing in several ways.

    Returns:
        list or None: Of dicts, as JSON gives them back; None without a pipeline.
    """
    pipeline = getattr(find_wrapper(dataset, 'pipeline'), 'pipeline', None)
    transforms = getattr(pipeline, 'transforms', None)
    return None if transforms is None else _describe(transforms)


def compare_pipelines(stored: list | None, here: list | None) -> list[Difference]:
    """Where two descriptions of :func:`describe_pipeline` differ."""
    return list(_compare('pipeline', stored, here))


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
    # A function, or an object whose inside is nobody's business.
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
    """Names of the transforms of a list; empty unless it has transforms only."""
    if not isinstance(values, list):
        return []
    is_pipeline = all(isinstance(one, dict) and 'type' in one for one in values)
    return [one['type'] for one in values] if is_pipeline else []

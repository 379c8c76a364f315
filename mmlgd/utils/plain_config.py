"""Configs as plain data: dicts, lists, tuples, numbers, strings, booleans and None."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

from mmengine.registry import MODELS, TRANSFORMS, WEIGHT_INITIALIZERS

from .config_types import class_name

_MAX_DEPTH, _MAX_ITEMS, _MAX_TEXT = 20, 20_000, 10_000


def check_plain(config: object) -> Any:
    """Copy a value of dicts, lists, tuples, numbers, strings, booleans and None.

    Raises:
        ValueError: It contains something else, or is too deep or large. The message is
            the end of a sentence.
    """
    budget = [_MAX_ITEMS]

    def copy(value: object, depth: int) -> object:
        budget[0] -= 1
        if depth > _MAX_DEPTH or budget[0] < 0:
            raise ValueError('is nested too deeply, or too large, for a config')
        if isinstance(value, dict):
            if not all(type(key) in (str, int) for key in value):
                raise ValueError('has keys that are neither strings nor integers')
            return {key: copy(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            items = [copy(item, depth + 1) for item in value]
            return items if isinstance(value, list) else tuple(items)
        is_plain = value is None or type(value) in (bool, int, float, str)
        if not is_plain or (isinstance(value, str) and len(value) > _MAX_TEXT):
            kind = type(value).__name__
            raise ValueError(f'contains a {kind}, which is not plain data')
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f'contains the number {value}')
        return value

    return copy(config, 0)


def plain_config(config: object) -> Any:
    """Convert a config to plain data for storage; classes become names of types.

    Args:
        config (object): Config of mmengine, in any style.

    Returns:
        Any: The same as dicts, lists, tuples and simple values.
    """
    if isinstance(config, Mapping):
        return {key: plain_config(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        items = [plain_config(item) for item in config]
        return items if isinstance(config, list) else tuple(items)
    return _type_name(config) if inspect.isclass(config) else config


def find_test_pipeline(config: Mapping) -> list | None:
    """The transforms of a config's test or validation, after an image is read.

    A config without either may have a ``test_pipeline``.
    """
    datasets = [
        loader.get('dataset')
        for name in ('test_dataloader', 'val_dataloader')
        if isinstance(loader := config.get(name), Mapping)
    ]
    pipelines = [_innermost_pipeline(dataset) for dataset in datasets]
    for pipeline in (*pipelines, config.get('test_pipeline')):
        if isinstance(pipeline, (list, tuple)):
            return [step for step in pipeline if 'LoadImage' not in name_of(step)]
    return None


def name_of(step: Mapping) -> str:
    """A config's type without its scope; '' if it has none."""
    kind: Any = step.get('type') if isinstance(step, Mapping) else None
    # Configs of this process may contain classes; other values of a file have no name.
    has_name = isinstance(kind, str) or hasattr(kind, '__name__')
    return class_name(kind) if has_name else ''


def _innermost_pipeline(dataset: Any) -> list | None:
    """The pipeline of a dataset, or of the first dataset inside of wrappers."""
    for _ in range(_MAX_DEPTH):
        if not isinstance(dataset, Mapping):
            return None
        if dataset.get('pipeline'):
            return dataset['pipeline']
        several: Any = dataset.get('datasets')
        is_several = isinstance(several, (list, tuple)) and several
        dataset = several[0] if is_several else dataset.get('dataset')
    return None


def _type_name(cls: type) -> str:
    """The registered name of a class, with its scope."""
    for root in (MODELS, WEIGHT_INITIALIZERS, TRANSFORMS):
        for registry in (*root.children.values(), root):
            for name, known in registry.module_dict.items():
                if known is cls:
                    return f'{registry.scope}.{name}'
    return f'{cls.__module__}.{cls.__qualname__}'

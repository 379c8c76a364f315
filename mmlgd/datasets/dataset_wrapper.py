"""Base class of datasets that wrap another dataset."""

from typing import Any

from mmlgd.errors import ConfigError
from mmlgd.registry import DATASETS


class DatasetWrapper:
    """A dataset that wraps another one of the same length.

    Args:
        dataset: The dataset to wrap, or its config.
        lazy_init: Whether to defer ``full_init``. Defaults to False.

    Raises:
        ConfigError: ``dataset`` has no length or no items.
    """

    def __init__(self, dataset: Any, lazy_init: bool = False) -> None:
        if isinstance(dataset, dict):
            dataset = DATASETS.build(dataset)
        if not (hasattr(dataset, '__len__') and hasattr(dataset, '__getitem__')):
            raise ConfigError(
                f'{type(self).__name__}.dataset must be a dataset with a length and '
                f'items (or its config), but is {type(dataset).__name__}.'
            )
        self.dataset = dataset
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Load the list of the wrapped dataset."""
        if self._fully_initialized:
            return
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()
        self._prepare()
        self._fully_initialized = True

    def _prepare(self) -> None:
        """Load further data, once the wrapped dataset has its list."""

    @property
    def metainfo(self) -> dict:
        """Meta information of the wrapped dataset."""
        return getattr(self.dataset, 'metainfo', {})

    def __len__(self) -> int:
        """N, the number of images."""
        return len(self.dataset)


def find_wrapper(dataset: Any, attribute: str) -> Any:
    """The outermost of nested datasets with an attribute; None if none has it."""
    while not hasattr(dataset, attribute):
        if not hasattr(dataset, 'dataset'):
            return None
        dataset = dataset.dataset
    return dataset

"""What datasets around one other dataset share."""

from typing import Any

from mmlgd.errors import ConfigError
from mmlgd.registry import DATASETS


class DatasetWrapper:
    """One dataset around another, of the same length.

    Args:
        dataset: The dataset to wrap, or its config.
        lazy_init: Whether to leave ``full_init`` for later. Defaults to False.

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
        """Let the wrapped dataset load its list."""
        if self._fully_initialized:
            return
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()
        self._prepare()
        self._fully_initialized = True

    def _prepare(self) -> None:
        """What else a wrapper loads, once the wrapped dataset has its list."""

    @property
    def metainfo(self) -> dict:
        """Meta information of the wrapped dataset."""
        return getattr(self.dataset, 'metainfo', {})

    def __len__(self) -> int:
        """N, the number of images."""
        return len(self.dataset)


def find_wrapper(dataset: Any, attribute: str) -> Any:
    """The outermost of nested datasets that has an attribute; None if none has."""
    while not hasattr(dataset, attribute):
        if not hasattr(dataset, 'dataset'):
            return None
        dataset = dataset.dataset
    return dataset

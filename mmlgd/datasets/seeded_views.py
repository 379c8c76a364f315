"""Reproducible augmentations: view v of image i is always the same."""

from collections.abc import Iterator
from typing import Any

from mmlgd.errors import ConfigError
from mmlgd.registry import DATASETS
from mmlgd.utils.rng import mix_seed, seeded

from .dataset_wrapper import DatasetWrapper, find_wrapper


@DATASETS.register_module()
class SeededViews(DatasetWrapper):
    """A dataset whose random transforms depend on (seed, view, image) only.

    Index ``view * N + i`` gives view ``view`` of image ``i``: the global generators
    of Python, numpy and torch are seeded from (seed, view, i) around the wrapped
    dataset's ``__getitem__`` and restored afterwards. The pixels therefore depend
    neither on the worker nor on earlier images, so a resumed run or a store of
    teacher embeddings sees the same views. :class:`ViewSampler` yields such
    indices; with any other sampler an index below N is view 0, the same
    augmentation in each epoch.

    Args:
        dataset: The dataset to wrap, or its config. An infinite or iterable one is
            refused.
        seed: Seed of the views, non-negative. It is separate from the Runner's seed,
            which orders the images, so runs with different seeds can share one
            store of views. Defaults to 0.
        lazy_init: Whether to leave ``full_init`` for later. Defaults to False.

    Raises:
        ConfigError: ``dataset`` has no length or no items; ``seed`` is not
            a non-negative integer.
    """

    def __init__(self, dataset: Any, seed: int = 0, lazy_init: bool = False) -> None:
        if not isinstance(seed, int) or seed < 0:
            raise ConfigError(
                f'SeededViews.seed must be a non-negative integer, but is {seed!r}.'
            )
        self.seed = seed
        super().__init__(dataset, lazy_init)

    def split(self, index: int) -> tuple[int, int]:
        """View and image of an index; see :func:`split_index`."""
        return split_index(index, len(self))

    def get_data_info(self, index: int) -> dict:
        """Data info of the image in the wrapped dataset, before the pipeline."""
        return self.dataset.get_data_info(self.split(index)[1])

    def __getitem__(self, index: int) -> Any:
        view, image = self.split(index)
        return draw_view(self.dataset, image, self.seed, view, image)

    def __getitems__(self, indices: list[int]) -> list:
        """The items of a batch, for torch's data loader; a remote dataset reads ahead."""
        images = find_wrapper(self.dataset, 'fetch')
        if images is not None:
            images.fetch([self.split(index)[1] for index in indices])
        return [self[index] for index in indices]

    def __iter__(self) -> Iterator[Any]:
        # Without it, Python would iterate forever: no index is out of range.
        return (self[index] for index in range(len(self)))


def split_index(index: int, size: int) -> tuple[int, int]:
    """Split an index of a dataset of N images into view and image.

    Args:
        index: ``view * N + i``, or a negative index in [-N, 0) of view 0.
        size: N.

    Returns:
        tuple[int, int]: (view, i) with i in [0, N).

    Raises:
        IndexError: ``index`` is below -N.
    """
    if index < 0:
        index += size
    if index < 0 or not size:
        raise IndexError(f'index {index - size} of a dataset of {size} images')
    return divmod(int(index), size)


def draw_view(dataset: Any, image: int, seed: int, view: int, row: int) -> Any:
    """Item ``image`` of a dataset under the random numbers of (seed, view, row)."""
    with seeded(mix_seed(seed, view, row)):
        return dataset[image]

"""Order of the images as a function of the seed and the position."""

import math
from collections.abc import Iterable, Iterator, Sized
from functools import partial
from itertools import count

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATA_SAMPLERS
from mmlgd.utils.rng import mix_seed

from .dataset_wrapper import find_wrapper
from .orders import Order, listed_order

#: Indices that are computed at once.
_CHUNK = 4096


@DATA_SAMPLERS.register_module()
class ViewSampler(Sampler[int]):
    """Yields indices ``view * N + i``, which :class:`SeededViews` splits.

    The images of pass v over the data are shuffled with the seed (seed, v) and are view
    v. Positions are assigned to the ranks in turn (rank r of W gets r, r + W, ...), so
    batch k of all ranks is batch k of a single process with a batch W times as large.

    * ``infinite=False``, for ``EpochBasedTrainLoop``: one pass, that of the epoch set by
      mmengine (``DistSamplerSeedHook``, a default hook). Every rank gets ceil(N / W)
      images; the first images of the pass fill the last round.
    * ``infinite=True``, for ``IterBasedTrainLoop``: endless passes without filling. A
      resumed run starts at its position without loading data if mmengine supports
      ``skip`` (OpenMMLab's 0.10 loads and drops the data instead; the result is the
      same). With :class:`~mmlgd.engine.hooks.SamplerPositionHook`, the number of ranks
      and the batch size may differ.

    A dataset with a method ``pass_order(seed)`` decides how it is shuffled, such as
    :class:`~mmlgd.datasets.shards.UnlabeledShards`, shard by shard if it is remote.

    Args:
        dataset: A :class:`SeededViews` of N images, or a dataset with its method
            ``split``. The Runner sets it.
        shuffle: Whether to shuffle each pass. Defaults to True.
        seed: Seed of the order. The Runner sets its own seed: set
            ``randomness=dict(seed=...)``, because a random seed is not yet known when a
            resumed run builds its data loader. Defaults to None, which is 0.
        infinite: See above. Defaults to False.

    Attributes:
        origin (int): Position of turn 0 of rank 0 in the endless order. It is not 0 only
            in a run that was resumed with another number of ranks or batch size. It may
            be negative, since mmengine counts turns from the start of training with the
            current numbers.

    Raises:
        ConfigError: ``seed`` is not a non-negative integer, or ``dataset`` has no
            views.
        DataError: ``dataset`` is empty.
    """

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        infinite: bool = False,
    ) -> None:
        seed = 0 if seed is None else seed
        if not isinstance(seed, int) or seed < 0:
            raise ConfigError(
                f'ViewSampler.seed must be a non-negative integer, but is {seed!r}.'
            )
        if not hasattr(dataset, 'split'):
            # Without this check, the second pass would exceed the range of indices.
            raise ConfigError(
                f'ViewSampler yields indices of views, which {type(dataset).__name__} '
                "does not support; wrap it: dataset=dict(type='SeededViews', "
                'dataset=...), or use DefaultSampler or InfiniteSampler.'
            )
        self.size = len(dataset)
        if not self.size:
            raise DataError(
                f'ViewSampler got an empty {type(dataset).__name__}; check its folder, '
                'indices and filters in the config.'
            )
        images = find_wrapper(dataset, 'pass_order')
        self._shuffled = (
            images.pass_order if images else partial(listed_order, self.size)
        )
        self.rank, self.world_size = get_dist_info()
        self.shuffle = shuffle
        self.seed = seed
        self.infinite = infinite
        self.epoch = 0
        self.origin = 0
        self._start = 0
        if infinite:
            # mmengine skips `num_iters * batch_size` indices if it finds `skip`. For
            # epochs with a short last batch, that would be the wrong position.
            self.skip = self._skip

    def __iter__(self) -> Iterator[int]:
        if self.infinite:
            return self._endless_positions()
        total = len(self) * self.world_size
        return self._indices(
            np.arange(
                begin, min(begin + _CHUNK * self.world_size, total), self.world_size
            )
            % self.size
            + self.epoch * self.size
            for begin in range(self.rank, total, _CHUNK * self.world_size)
        )

    def __len__(self) -> int:
        """Images per rank and pass."""
        return math.ceil(self.size / self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Set the pass; has no effect if infinite, since passes are then counted here.

        Args:
            epoch: Zero-based.
        """
        self.epoch = epoch

    def _skip(self, num_samples: int) -> None:
        """Start at a later position (available as ``skip`` if infinite).

        Args:
            num_samples: Images of this rank, counted from the start of training.
        """
        self._start = num_samples

    def _endless_positions(self) -> Iterator[int]:
        turns = (
            np.arange(begin, begin + _CHUNK) for begin in count(self._start, _CHUNK)
        )
        # Positions before the start of training are dropped by mmengine.
        return self._indices(
            np.maximum(self.origin + self.rank + turn * self.world_size, 0)
            for turn in turns
        )

    def _indices(self, chunks: Iterable[np.ndarray]) -> Iterator[int]:
        """Indices for positions of the endless order, chunk by chunk."""
        current: int = -1
        order: Order
        for positions in chunks:
            views, places = np.divmod(positions, self.size)
            for view in np.unique(views).tolist():
                if view != current:
                    current, order = view, self._order(view)
                yield from (order(places[views == view]) + view * self.size).tolist()

    def _order(self, view: int) -> Order:
        if not self.shuffle:
            return lambda positions: positions
        return self._shuffled(mix_seed(self.seed, view))

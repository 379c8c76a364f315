"""Order of the images as a function of the seed and the position."""

from collections.abc import Iterable, Iterator, Sized
from functools import partial
from itertools import count

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATA_SAMPLERS
from mmlgd.utils.rng import mix_seed
from mmlgd.utils.step_parts import share

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

    With ``global_batch_size`` G, which need not be a multiple of W, iteration k has the
    positions k G to (k + 1) G of a pass (or of the endless order), again assigned to the
    ranks in turn. A rank's batch size must be its share of G. An iteration then has
    the same images with any number of ranks. The last iteration of a pass has the rest
    of it. If that is fewer images than ranks, the remaining ranks get one each, which
    :class:`~mmlgd.engine.hooks.GlobalBatchHook` gives no weight.

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
        global_batch_size: G, images per iteration of all ranks. ``mmlgd train`` sets it
            where it is needed, with the two options below. Defaults to None: the equal
            batches of the ranks.
        multiple_of: The first images of a pass fill it up to a multiple of this number.
            A resumed run keeps that of the first run. Defaults to None: W.
        drop_last: Whether the rest of a pass is omitted, as by the data loader's option;
            only with ``global_batch_size``. Defaults to False.

    Attributes:
        origin (int): Position of turn 0 of rank 0 in the endless order. It is not 0 only
            in a run that was resumed with another number of ranks or batch size. It may
            be negative, since mmengine counts turns from the start of training with the
            current numbers.

    Raises:
        ConfigError: ``seed`` is not a non-negative integer, ``dataset`` has no views, or
            there are more ranks than images in a global batch.
        DataError: ``dataset`` is empty.
    """

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        infinite: bool = False,
        global_batch_size: int | None = None,
        multiple_of: int | None = None,
        drop_last: bool = False,
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
        self.global_batch_size = global_batch_size
        # Without a global batch, any multiple of the ranks yields the same order.
        self._batch = global_batch_size or self.world_size
        if self._batch < self.world_size:
            raise ConfigError(
                f'A global batch of {self._batch} images cannot be split over '
                f'{self.world_size} ranks; start at most {self._batch}.'
            )
        self._share = share(self._batch, self.rank, self.world_size)
        multiple = multiple_of or self.world_size
        self._total = -(-self.size // multiple) * multiple
        if global_batch_size and drop_last:
            self._total -= self._total % global_batch_size
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
        total = len(self)
        return self._indices(
            self._positions(np.arange(begin, min(begin + _CHUNK, total))) % self.size
            + self.epoch * self.size
            for begin in range(0, total, _CHUNK)
        )

    def __len__(self) -> int:
        """Images per rank and pass."""
        whole, rest = divmod(self._total, self._batch)
        last = max(share(rest, self.rank, self.world_size), 1) if rest else 0
        return whole * self._share + last

    def images_in(self, iteration: int) -> int:
        """Images of all ranks in an iteration, with ``global_batch_size``.

        Args:
            iteration: Counted from 0, over all passes.
        """
        whole, rest = divmod(self._total, self._batch)
        if self.infinite or not rest or (iteration + 1) % (whole + 1):
            return self._batch
        return rest

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
            np.maximum(self.origin + self._positions(turn), 0) for turn in turns
        )

    def _positions(self, turns: np.ndarray) -> np.ndarray:
        """Positions of this rank's images, which are counted in turns from 0."""
        batch, row = np.divmod(turns, self._share)
        return batch * self._batch + row * self.world_size + self.rank

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

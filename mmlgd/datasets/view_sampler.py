"""The order of the images, as a function of the seed and the position."""

import math
from collections.abc import Iterator, Sized
from itertools import count

import torch
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATA_SAMPLERS
from mmlgd.utils.rng import mix_seed


@DATA_SAMPLERS.register_module()
class ViewSampler(Sampler[int]):
    """Yields ``view * N + i``, for :class:`SeededViews` to split.

    The images of pass v over the data are shuffled by (seed, v) and are view v. The
    ranks take turns (rank r of W gets positions r, r + W, ...), so batch k of all
    ranks together is batch k of one process with a batch W times as large.

    * ``infinite=False``, for ``EpochBasedTrainLoop``: one pass, of the epoch that
      mmengine sets (``DistSamplerSeedHook``, a default hook). All ranks get
      ceil(N / W) images; the first ones of the pass fill up the last round.
    * ``infinite=True``, for ``IterBasedTrainLoop``: pass after pass without end or
      filling up. A resumed run starts at its position at no cost where mmengine
      knows ``skip`` (OpenMMLab's own 0.10 loads and drops the data instead; either
      way the data are the same). With
      :class:`~mmlgd.engine.hooks.SamplerPositionHook` this holds for another number
      of ranks and another batch size, too.

    Args:
        dataset: A :class:`SeededViews` of N images, or a dataset with its
            ``split``. Filled in by the Runner.
        shuffle: Whether to shuffle each pass. Defaults to True.
        seed: Seed of the order. The Runner fills in its own: set
            ``randomness=dict(seed=...)``, because a seed drawn at random is not
            known yet when a resumed run builds its data loader. Defaults to None,
            which is 0.
        infinite: See above. Defaults to False.

    Attributes:
        origin (int): Where turn 0 of rank 0 lies in the endless order. It is 0 but in
            a run that was resumed with another number of ranks or batch size. It may
            be negative, as mmengine counts turns from the start of training in the
            current sizes.

    Raises:
        ConfigError: ``seed`` is not a non-negative integer; ``dataset`` knows no
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
            # Without this check the second pass would run out of range.
            raise ConfigError(
                f'ViewSampler numbers views, which {type(dataset).__name__} does not '
                "know; wrap it: dataset=dict(type='SeededViews', dataset=...), or use "
                'DefaultSampler or InfiniteSampler.'
            )
        self.size = len(dataset)
        if not self.size:
            raise DataError(
                f'ViewSampler got an empty {type(dataset).__name__}; look at its '
                'folder, indices and filters in the config.'
            )
        self.rank, self.world_size = get_dist_info()
        self.shuffle = shuffle
        self.seed = seed
        self.infinite = infinite
        self.epoch = 0
        self.origin = 0
        self._start = 0
        if infinite:
            # mmengine skips by `num_iters * batch_size` wherever it finds `skip`;
            # over epochs with a short last batch that would be the wrong position.
            self.skip = self._skip

    def __iter__(self) -> Iterator[int]:
        if self.infinite:
            return self._endless_positions()
        order = self._order(self.epoch)
        total = len(self) * self.world_size
        positions = range(self.rank, total, self.world_size)
        return iter([order[position % self.size] for position in positions])

    def __len__(self) -> int:
        """Images a rank and pass."""
        return math.ceil(self.size / self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the pass; without effect when infinite, which counts for itself.

        Args:
            epoch: Zero-based.
        """
        self.epoch = epoch

    def _skip(self, num_samples: int) -> None:
        """Start later (present as ``skip`` when infinite).

        Args:
            num_samples: Images of this rank, counted from the start of training.
        """
        self._start = num_samples

    def _endless_positions(self) -> Iterator[int]:
        order, current = [], -1
        for turn in count(self._start):
            position = self.origin + self.rank + turn * self.world_size
            # mmengine drops what lies before the start of training.
            view, place = divmod(max(position, 0), self.size)
            if view != current:
                order, current = self._order(view), view
            yield order[place]

    def _order(self, view: int) -> list[int]:
        if self.shuffle:
            generator = torch.Generator().manual_seed(mix_seed(self.seed, view))
            order = torch.randperm(self.size, generator=generator)
        else:
            order = torch.arange(self.size)
        return (order + view * self.size).tolist()

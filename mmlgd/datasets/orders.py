"""Orders of a pass over a dataset, computed position by position.

An order maps positions (M,) int64 in [0, N) to indices (M,) int64. It is a permutation,
and depends on its arguments only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mmlgd.utils.rng import mix_seed

Order = Callable[[np.ndarray], np.ndarray]

_ROUNDS = 6
#: Runs of :class:`RunOrder` that are read in parallel.
STREAMS = 64


def listed_order(size: int, seed: int) -> Order:
    """A random order from torch's generator, in 8 bytes an image."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(size, generator=generator).numpy()
    return lambda positions: order[positions]


@dataclass(frozen=True)
class HashedOrder:
    """A pseudo-random order that needs no memory: a Feistel network.

    Attributes:
        size: N, at least 1.
        seed: Selects one of the orders, which look random but are not all permutations.
    """

    size: int
    seed: int

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        # Two halves of `bits` bits. Values above the size are permuted again until they
        # are below it, which preserves the permutation.
        bits = max(1, ((self.size - 1).bit_length() + 1) // 2)
        keys = [mix_seed(self.seed, each) for each in range(_ROUNDS)]
        values = _feistel(positions.astype(np.uint64), bits, keys)
        while len(above := np.flatnonzero(values >= self.size)):
            values[above] = _feistel(values[above], bits, keys)
        return values.astype(np.int64)


class RunOrder:
    """Shards in random order, and their images shuffled within a window.

    The images of the shuffled shards form a sequence, which is cut into windows of
    ``buffer`` images. A window is cut into runs of ``run`` neighbours, its runs are
    shuffled, and :data:`STREAMS` of them alternate. If the number of ranks divides
    :data:`STREAMS`, neighbours of a run therefore reach the same rank one after the
    other, and can be read in one request.

    Args:
        counts: Images of each shard, in the order of the indices.
        seed: Not negative.
        buffer: Images of a window, at least 1.
        run: Neighbours that stay together, at least 1; 1 shuffles single images.
    """

    def __init__(self, counts: Sequence[int], seed: int, buffer: int, run: int) -> None:
        self.seed, self.buffer, self.run = seed, buffer, run
        sizes: np.ndarray = np.asarray(counts, np.int64)
        shards = np.random.default_rng(mix_seed(seed, 0)).permutation(len(sizes))
        firsts = np.cumsum(sizes) - sizes
        # Position of each shuffled shard's end, and what to add to its positions.
        self._ends = np.cumsum(sizes[shards])
        self._shifts = firsts[shards] - (self._ends - sizes[shards])
        self._window: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        windows, offsets = np.divmod(positions, self.buffer)
        places = np.empty(len(positions), np.int64)
        for window in np.unique(windows):
            chosen = windows == window
            places[chosen] = self._arranged(int(window))[offsets[chosen]]
        shards = np.searchsorted(self._ends, places, side='right')
        return places + self._shifts[shards]

    def _arranged(self, window: int) -> np.ndarray:
        """The positions of a window in their order."""
        if self._window[0] != window:
            begin = window * self.buffer
            size = min(self.buffer, int(self._ends[-1]) - begin)
            generator = np.random.default_rng(mix_seed(self.seed, 1, window))
            starts = generator.permutation(np.arange(0, size, self.run))
            blocks = [
                (starts[first : first + STREAMS] + np.arange(self.run)[:, None]).ravel()
                for first in range(0, len(starts), STREAMS)
            ]
            order = np.concatenate(blocks)
            # The last run may be short.
            self._window = window, begin + order[order < size]
        return self._window[1]


def _feistel(values: np.ndarray, bits: int, keys: Sequence[int]) -> np.ndarray:
    """Permute values (M,) uint64 of 2 * ``bits`` bits."""
    mask, shift = np.uint64((1 << bits) - 1), np.uint64(bits)
    left, right = values >> shift, values & mask
    for key in keys:
        left, right = right, left ^ (_mix(right + np.uint64(key)) & mask)
    return (left << shift) | right


def _mix(values: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64, a bijection of uint64 whose bits look random."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))

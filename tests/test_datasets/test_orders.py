from collections import Counter

import numpy as np
import pytest

from mmlgd.datasets.orders import STREAMS, HashedOrder, RunOrder, listed_order


@pytest.mark.parametrize('size', [1, 2, 3, 7, 64, 65, 1000, 5003])
def test_every_order_is_a_permutation_and_a_function_of_the_seed(size):
    positions = np.arange(size)
    counts = [size // 3, 0, size - size // 3]
    for make in (
        lambda seed: HashedOrder(size, seed),
        lambda seed: listed_order(size, seed),
        lambda seed: RunOrder(counts, seed, 100, 8),
        lambda seed: RunOrder(counts, seed, 10**6, 1),
    ):
        order = make(3)(positions)
        assert sorted(order.tolist()) == positions.tolist()
        # Position by position, in any order of the calls.
        once = make(3)
        assert [int(once(positions[[i]])[0]) for i in (size - 1, 0)] == [
            *order[[-1, 0]]
        ]
        if size >= 64:
            assert (make(4)(positions) != order).any() and (order != positions).any()


def test_hashed_order_is_uniform():
    # Each of 7 images at each of 7 positions, and each pair of neighbours: over 1000
    # seeds, the counts are within 5 standard deviations of those of random orders.
    orders = np.array([HashedOrder(7, seed)(np.arange(7)) for seed in range(1000)])
    for position in range(7):
        counts = np.bincount(orders[:, position], minlength=7)
        assert abs(counts - 1000 / 7).max() < 5 * np.sqrt(1000 / 7 * 6 / 7)
    pairs = Counter(map(tuple, orders[:, 2:4].tolist()))
    assert len(pairs) == 42
    assert abs(np.array([*pairs.values()]) - 1000 / 42).max() < 5 * np.sqrt(1000 / 42)


def test_hashed_order_of_many_images_has_no_pattern():
    size, positions = 10**8, np.arange(20000)
    order = HashedOrder(size, 1)(positions)
    assert (
        len({*order.tolist()}) == len(order) and 0 <= order.min() <= order.max() < size
    )
    ranks = np.argsort(np.argsort(order))
    for other in (positions, np.roll(ranks, 1), order % 256):
        assert abs(np.corrcoef(ranks, other)[0, 1]) < 5 / np.sqrt(len(positions))
    assert abs(order.mean() / size - 0.5) < 5 * np.sqrt(1 / 12 / len(positions))


def test_runs_reach_one_rank_one_after_the_other():
    order = RunOrder([4096], 5, 4096, 8)(np.arange(4096))
    for world_size in (1, 4, STREAMS):
        mine = order[::world_size]
        batch = {*(mine[: 8 * STREAMS // world_size] // 8).tolist()}
        assert len(batch) == STREAMS // world_size
    # Runs are shuffled.
    assert (np.diff(order[:STREAMS]) != 8).mean() > 0.9

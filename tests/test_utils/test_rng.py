import random

import numpy as np
import torch

from mmlgd.utils.rng import mix_seed, seeded


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_seed_separates_order_and_neighbours():
    parts = [(0, 1, 2), (0, 2, 1), (1, 1, 1), (0, 0, 3), (3, 0, 0), (0, 0, 0)]
    assert len({mix_seed(*part) for part in parts}) == len(parts)
    # Frozen: a change would reorder the data of runs that are resumed.
    assert mix_seed(0, 1, 2) == mix_seed(0, 1, 2) == EXPECTED_SEED
    assert mix_seed(5) < 2**63


EXPECTED_SEED = (
    int(np.random.SeedSequence([0, 1, 2]).generate_state(1, np.uint64)[0]) // 2
)


def test_seeded_block_is_reproducible_and_restores_the_state():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    undisturbed = [draw(), draw()]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    outside = [draw()]
    with seeded(mix_seed(7, 0, 3)):
        first = draw()
    outside.append(draw())
    with seeded(mix_seed(7, 0, 3)):
        second = draw()
    with seeded(mix_seed(7, 1, 3)):
        other = draw()
    assert outside == undisturbed
    assert first == second
    assert all(a != b for a, b in zip(first, other))


def test_states_return_after_an_error():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    try:
        with seeded(3):
            torch.rand(5)
            raise KeyError
    except KeyError:
        pass
    assert torch.equal(torch.rand(1), expected)

import random
from types import SimpleNamespace

import numpy as np
import torch

from mmlgd.engine.hooks import StatelessSeedHook, stateless_seed_hook


def draw(seed=0, iteration=0):
    runner = SimpleNamespace(seed=seed, iter=iteration)
    StatelessSeedHook().before_train_iter(runner, batch_idx=0)
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_draws_depend_on_seed_rank_and_iteration_only(monkeypatch):
    expected = draw(seed=4, iteration=7)
    torch.rand(10), np.random.rand(3), random.random()
    assert draw(seed=4, iteration=7) == expected
    others = [draw(seed=7, iteration=4), draw(seed=4, iteration=8)]
    monkeypatch.setattr(stateless_seed_hook, 'get_rank', lambda: 1)
    others.append(draw(seed=4, iteration=7))
    for other in others:
        assert all(a != b for a, b in zip(other, expected))


def test_accelerator_is_seeded_too(monkeypatch):
    seeds = []
    monkeypatch.setattr(torch, 'manual_seed', seeds.append)
    draw(iteration=1), draw(iteration=2), draw(iteration=1)
    assert seeds[0] == seeds[2] != seeds[1]

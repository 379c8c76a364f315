"""Stateless random numbers: seeds that do not depend on previous draws."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def mix_seed(*parts: int) -> int:
    """Hash integers into one seed.

    With sums such as ``seed + epoch``, neighbouring seeds share their streams; with
    numpy's seed sequence they do not.

    Args:
        *parts: Non-negative integers, for example (seed, view, index).

    Returns:
        int: A seed in [0, 2**63), equal on every platform.
    """
    state = np.random.SeedSequence([int(part) for part in parts])
    return int(state.generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_cpu(seed: int) -> None:
    """Seed the global CPU generators of Python, numpy and torch.

    Data loader workers call this for every image, so it does not seed accelerators:
    ``torch.manual_seed`` formats a stack trace for CUDA at each call.

    Args:
        seed: From :func:`mix_seed`.
    """
    random.seed(seed)
    np.random.seed([seed & 0xFFFFFFFF, seed >> 32])
    torch.default_generator.manual_seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global CPU generators, and restore their states at the end.

    Generators that other code creates (``np.random.default_rng()``) are not affected.

    Args:
        seed: From :func:`mix_seed`.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed_cpu(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])

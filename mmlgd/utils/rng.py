"""Random numbers that depend on what is asked for, not on what was drawn before."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def mix_seed(*parts: int) -> int:
    """Hash integers into one seed.

    Sums such as ``seed + epoch`` make neighbouring seeds share their streams;
    numpy's seed sequence does not.

    Args:
        *parts: Non-negative integers, for example (seed, view, index).

    Returns:
        int: A seed in [0, 2**63), equal on every platform.
    """
    state = np.random.SeedSequence([int(part) for part in parts])
    return int(state.generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_cpu(seed: int) -> None:
    """Seed Python's, numpy's and torch's global generators of the CPU.

    Data loader workers call this for every image, so it leaves the accelerators
    alone: ``torch.manual_seed`` formats a stack trace for CUDA at each call.

    Args:
        seed: From :func:`mix_seed`.
    """
    random.seed(seed)
    np.random.seed([seed & 0xFFFFFFFF, seed >> 32])
    torch.default_generator.manual_seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the CPU's global generators, and put their states back at the end.

    Generators that code makes for itself (``np.random.default_rng()``) are out of
    its reach.

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

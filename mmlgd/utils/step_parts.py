"""The images of one optimizer step on each rank, and in each part of the step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from mmengine.dist import get_rank


def share(total: int, rank: int, world_size: int) -> int:
    """Images of a rank, if ``total`` images are assigned to the ranks in turn."""
    return len(range(rank, total, world_size))


@dataclass(frozen=True)
class StepPart:
    """A part of a step: some rows of each rank's share, computed in one forward pass.

    Attributes:
        rows (tuple[int, ...]): Number of rows of each rank that count. Lower ranks have
            at most one more. A rank's batch may have further rows, which are computed
            only to keep the ranks in step.
        is_first (bool): Whether it is the first part of its step.
        is_last (bool): Whether it is the last part of its step.
    """

    rows: tuple[int, ...]
    is_first: bool = True
    is_last: bool = True


def split_step(shares: Sequence[int], size: int) -> list[StepPart]:
    """Split a step into parts of at most ``size`` rows on each rank.

    Args:
        shares (Sequence[int]): Images of each rank; the first rank has the most.
        size (int): At least 1.

    Returns:
        list[StepPart]: Part i has rows ``i * size`` to ``(i + 1) * size`` of each share.
    """
    starts = range(0, shares[0], size)
    return [
        StepPart(
            tuple(min(max(own - start, 0), size) for own in shares),
            is_first=start == 0,
            is_last=start == starts[-1],
        )
        for start in starts
    ]


_current: StepPart | None = None


def current_part() -> StepPart | None:
    """The part that is being computed; None in a step of equal, undivided batches."""
    return _current


@contextmanager
def computing(part: StepPart) -> Iterator[None]:
    """Make a part the current one for the body."""
    global _current
    _current = part
    try:
        yield
    finally:
        _current = None


def own_rows(rows: torch.Tensor) -> torch.Tensor:
    """The rows of this rank that count in the current part."""
    return rows if _current is None else rows[: _current.rows[get_rank()]]

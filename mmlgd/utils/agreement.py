"""Decisions that all ranks take alike, without waiting for a device."""

from datetime import timedelta

import torch
from mmengine.dist import get_world_size
from torch import distributed

from .first_rank import START_UP_TIMEOUT


class Agreement:
    """Reduces small numbers over all ranks, on the CPU over gloo.

    All ranks must make the same calls at the same places. The first call starts a gloo
    group, unless the ranks communicate over gloo anyway. A rank waits for the others'
    hosts, but for no device.

    Args:
        interval: Iterations between two agreements, see :meth:`is_due`. Defaults to 10.
    """

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval
        self._group: distributed.ProcessGroup | None = None

    def is_due(self, iteration: int) -> bool:
        """Whether to agree after this iteration; a single rank always does."""
        return get_world_size() == 1 or iteration % self.interval == 0

    def reduce(self, numbers: list[int], op: str = 'max') -> list[int]:
        """Reduce numbers.

        Args:
            numbers: Numbers of this rank.
            op: ``max`` or ``min``.

        Returns:
            list[int]: The largest or smallest of all ranks, at each place.
        """
        if get_world_size() == 1:
            return numbers
        if self._group is None and distributed.get_backend() != 'gloo':
            limit = timedelta(seconds=START_UP_TIMEOUT)
            self._group = distributed.new_group(timeout=limit, backend='gloo')
        values = torch.tensor(numbers)
        operation = dict(max=distributed.ReduceOp.MAX, min=distributed.ReduceOp.MIN)[op]
        distributed.all_reduce(values, operation, group=self._group)
        return values.tolist()

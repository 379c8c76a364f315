"""Functions that one process runs for all processes of a run."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from mmengine.dist import broadcast_object_list, get_rank, get_world_size
from torch.distributed import new_group
from torch.utils.data import get_worker_info

from mmlgd.errors import DataError, MMLGDError

Result = TypeVar('Result')


def on_first_rank(work: Callable[[], Result], wait: float | None = None) -> Result:
    """Run a function on rank 0 and return its result on every rank.

    All ranks must make the same calls in the same order. Without a process group, and
    in the worker of a data loader, the function runs in this process.

    Args:
        work: A function without arguments. Its result must be picklable.
        wait: Seconds that the other ranks wait. Defaults to None: the time limit of the
            process group, which is 10 minutes for NCCL.

    Returns:
        Result: The result on rank 0.

    Raises:
        MMLGDError: The function raised it on rank 0; every rank raises the same type
            and message.
        RuntimeError: The function raised another error on rank 0. Rank 0 raises the
            error itself.
        DataError: Rank 0 did not finish within ``wait`` seconds.
    """
    if get_world_size() == 1 or get_worker_info() is not None:
        return work()
    group = None
    if wait is not None:
        # gloo, since its time limit ends the waiting without ending the process.
        group = new_group(timeout=timedelta(seconds=wait), backend='gloo')
    result: Any = None
    failure: Exception | None = None
    if get_rank() == 0:
        try:
            result = work()
        except Exception as raised:
            # Raised after the broadcast, for which the other ranks wait.
            failure = raised
    # Errors are sent as type and message, since not all of them can be pickled.
    known = isinstance(failure, MMLGDError)
    kind = type(failure) if known else RuntimeError
    text = str(failure) if known else f'{type(failure).__name__} on rank 0: {failure}'
    outcome: list[Any] = [result, failure and (kind, text)]
    try:
        broadcast_object_list(outcome, group=group)
    except RuntimeError as late:
        if wait is None:
            raise
        raise DataError(
            f'Rank 0 did not finish within {wait:g} s, or ended ({late}). Do the work '
            'before the training, or allow more time.'
        ) from late
    result, error = outcome
    if failure is not None:
        raise failure
    if error is not None:
        raise error[0](error[1])
    return result

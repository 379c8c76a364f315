"""Functions that one process runs for all processes of a run."""

from collections.abc import Callable
from typing import Any, TypeVar

from mmengine.dist import broadcast_object_list, get_rank, get_world_size
from torch.utils.data import get_worker_info

from mmlgd.errors import MMLGDError

Result = TypeVar('Result')


def on_first_rank(work: Callable[[], Result]) -> Result:
    """Run a function on rank 0 and return its result on every rank.

    All ranks must make the same calls in the same order. Without a process group, and
    in the worker of a data loader, the function runs in this process.

    Args:
        work: A function without arguments. Its result must be picklable.

    Returns:
        Result: The result on rank 0.

    Raises:
        MMLGDError: The function raised it on rank 0; every rank raises the same type
            and message.
        RuntimeError: The function raised another error on rank 0. Rank 0 raises the
            error itself.
    """
    if get_world_size() == 1 or get_worker_info() is not None:
        return work()
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
    broadcast_object_list(outcome)
    result, error = outcome
    if failure is not None:
        raise failure
    if error is not None:
        raise error[0](error[1])
    return result

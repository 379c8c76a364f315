"""Work that one rank does for all ranks of a run, with a limit for the others.

The limit does not depend on that of the process group, which is for single collectives.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from mmengine.dist import broadcast_object_list, get_rank, get_world_size
from torch import distributed
from torch.utils.data import get_worker_info

from mmlgd.errors import DataError, MMLGDError

Result = TypeVar('Result')

#: Seconds that ranks wait for each other at the start, if the config sets no limit.
START_UP_TIMEOUT = 3600.0
#: The field of the config that sets it.
OPTION = 'env_cfg.start_up_timeout'
_limit = START_UP_TIMEOUT
# The process group of the run, and a gloo group for each time limit.
_groups: tuple[Any, dict[float, Any]] = (None, {})


def set_start_up_timeout(seconds: float) -> None:
    """Set how long :func:`on_first_rank` and :func:`meet` wait in this process."""
    global _limit
    _limit = float(seconds)


def works_alone() -> bool:
    """Whether there are no other ranks, or this is a worker of a data loader."""
    return get_world_size() == 1 or get_worker_info() is not None


def on_first_rank(
    work: Callable[[], Result],
    what: str,
    wait: float | None = None,
    option: str = OPTION,
) -> Result:
    """Run a function on rank 0 and return its result on every rank.

    All ranks must make the same calls in the same order. Without a process group, and
    in the worker of a data loader, the function runs in this process.

    Args:
        work: A function without arguments. Its result must be picklable.
        what: What it does, for messages, for example 'listing the images of data/a'.
        wait: Seconds that the other ranks wait. Defaults to None: the limit of the start.
        option: The option that sets ``wait``, for messages. Defaults to
            :data:`OPTION`.

    Returns:
        Result: The result on rank 0.

    Raises:
        MMLGDError: The function raised it on rank 0; every rank raises the same type
            and message.
        RuntimeError: The function raised another error on rank 0. Rank 0 raises the
            error itself.
        DataError: Rank 0 did not finish within ``wait`` seconds.
    """
    if works_alone():
        return work()
    wait = _limit if wait is None else wait
    group = _waiting_group(what, wait, option)
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
        raise _too_late(what, wait, option, late) from late
    result, error = outcome
    if failure is not None:
        raise failure
    if error is not None:
        raise error[0](error[1])
    return result


def prepare_to_meet() -> None:
    """Connect the ranks for :func:`meet`, which can then name those that do not come."""
    if not works_alone():
        _waiting_group('connecting', _limit, OPTION)


def meet(what: str) -> None:
    """Wait until all ranks have called this function, at most for the limit of the start.

    Args:
        what: What ranks do before, for messages.

    Raises:
        DataError: Some ranks did not come; rank 0 names them.
    """
    if works_alone():
        return
    group = _waiting_group(what, _limit, OPTION)
    try:
        distributed.monitored_barrier(
            group, timeout=timedelta(seconds=_limit), wait_all_ranks=True
        )
    except RuntimeError as late:
        raise _too_late(what, _limit, OPTION, late) from late


def release_groups() -> None:
    """Forget the groups of this module, so that leaving the process group ends them."""
    global _groups
    _groups = (None, {})


def _waiting_group(what: str, wait: float, option: str) -> Any:
    """A group of all ranks with a limit of its own, in seconds.

    It uses gloo, where a timeout ends the waiting without ending the process.
    """
    global _groups
    if _groups[0] is not distributed.group.WORLD:
        _groups = (distributed.group.WORLD, {})
    if wait not in _groups[1]:
        limit = timedelta(seconds=wait)
        try:
            _groups[1][wait] = distributed.new_group(timeout=limit, backend='gloo')
        except RuntimeError as late:
            raise _too_late(what, wait, option, late) from late
    return _groups[1][wait]


def _too_late(what: str, wait: float, option: str, late: RuntimeError) -> DataError:
    reason = ' '.join(str(late).split())[:200]
    return DataError(
        f'Rank {get_rank()} waited for the other ranks ({what}), but they did not finish '
        f'within {wait:g} s, or ended: {reason}. See the log of rank 0 and of the ranks '
        f'named here. If they only need longer, raise {option}, or do this work before '
        'the run.'
    )

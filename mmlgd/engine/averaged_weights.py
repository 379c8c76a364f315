"""The weights that an EMAHook averages, in place of the trained ones and back."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.hooks import EMAHook
from mmengine.runner import Runner


@contextmanager
def swapped_averages(runner: Runner) -> Iterator[None]:
    """Swap trained and averaged weights for the body; nothing without an EMAHook.

    Validations and checkpoints have the averaged weights. In a training, the body thus
    has the averaged weights; within a validation, where EMAHook has swapped them
    already, the trained ones.
    """
    hooks = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    for hook in hooks:
        hook.before_val_epoch(runner)
    try:
        yield
    finally:
        for hook in hooks:
            hook.after_val_epoch(runner)

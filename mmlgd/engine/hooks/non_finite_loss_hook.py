"""Stops a run with a non-finite loss before it overwrites its checkpoints."""

import math
from collections.abc import Iterator

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner, find_latest_checkpoint
from torch import Tensor

from mmlgd.engine.pending_scalars import PendingScalars
from mmlgd.errors import CheckpointError, MMLGDError
from mmlgd.registry import HOOKS
from mmlgd.utils.checks import check_count
from mmlgd.utils.model import unwrap_model

_HOW_TO_FIX = (
    'Try a lower learning rate or a longer warm-up, clip the gradients '
    "(optim_wrapper.clip_grad), train without AMP or with dtype='bfloat16' instead "
    'of float16, and look for broken images, constant features, or a teacher whose '
    'weights are not finite.'
)


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Raises after ``patience`` consecutive steps with a NaN or infinite loss.

    Every output whose name contains ``loss`` counts, as in mmengine's sum. Steps that
    the AMP loss scaler skips, with finite losses and infinite gradients, do not. The
    losses stay on their device and are checked together, every ``interval`` steps,
    before a validation, before a checkpoint and at the last step, so the host does not
    wait for the device in between. A step is bad if it is bad on any rank, and all
    ranks decide alike.

    :class:`AtomicCheckpointHook` postpones a checkpoint if the latest steps were bad.
    Weights that are not finite are never saved (one step can corrupt them although its
    own loss was finite), so the last checkpoint stays usable.

    Args:
        patience: Consecutive bad steps, at least 1. Defaults to 3.
        interval: Steps between two checks, at least 1. Defaults to 50.

    Raises:
        ConfigError: ``patience`` or ``interval`` is below 1.
    """

    # Before the hooks that modify a checkpoint (EMAHook) or write one.
    priority = 'HIGHEST'

    def __init__(self, patience: int = 3, interval: int = 50) -> None:
        self.patience = check_count('NonFiniteLossHook.patience', patience, 1)
        self.interval = check_count('NonFiniteLossHook.interval', interval, 1)
        self._pending = PendingScalars()
        self._streak = 0
        self._last_step = 0

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Keep the losses of the step; check them every ``interval`` steps.

        Args:
            runner: The runner.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: Output of ``train_step``: names to scalar tensors or numbers.

        Raises:
            MMLGDError: There were ``patience`` bad steps in a row.
        """
        losses = {k: v for k, v in (outputs or {}).items() if 'loss' in k}
        self._last_step = runner.iter + 1
        self._pending.add(self._last_step, losses)
        if self.every_n_train_iters(runner, self.interval) or self.is_last_train_iter(
            runner
        ):
            self._check_losses(runner)

    def before_val(self, runner: Runner) -> None:
        """Check before a validation, which may take long and may save the best."""
        self._check_losses(runner)

    def refuse_checkpoint(self, runner: Runner, reasons: list[str]) -> None:
        """Refuse a checkpoint after bad steps; called on all ranks.

        Args:
            runner: The runner.
            reasons: A reason is appended if the latest steps were bad.

        Raises:
            MMLGDError: There were ``patience`` bad steps in a row.
            CheckpointError: A weight is not finite, on any rank.
        """
        self._check_losses(runner)
        name = _first_non_finite(unwrap_model(runner.model).state_dict(), runner)
        is_broken = torch.tensor(int(name is not None))
        all_reduce(is_broken, op='max')
        if is_broken:
            raise self._non_finite_error(runner, name or 'of another rank')
        if self._streak:
            reasons.append(f'the last {self._streak} losses are not finite')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse weights that are not finite, for any hook that saves them.

        Args:
            runner: The runner.
            checkpoint: The checkpoint to be saved; ``state_dict`` is on the CPU.

        Raises:
            CheckpointError: A weight is not finite.
        """
        name = _first_non_finite(checkpoint['state_dict'], runner)
        if name is not None:
            raise self._non_finite_error(runner, name)

    def _check_losses(self, runner: Runner) -> None:
        """Check the steps since the last check; all ranks get the same result."""
        steps = self._pending.read()
        if not steps:
            return
        flags = torch.tensor(
            [not all(map(math.isfinite, losses.values())) for _, losses in steps],
            dtype=torch.int32,
        )
        all_reduce(flags, op='max')
        for (step, losses), is_bad in zip(steps, flags.tolist()):
            self._streak = self._streak + 1 if is_bad else 0
            if self._streak == self.patience:
                raise MMLGDError(
                    f'The loss is not finite for {self._streak} steps in a row, the last '
                    f'of them iteration {step}, where this rank had {_format(losses)}; '
                    f'learning rates at iteration {self._last_step}: '
                    f'{_format_lrs(runner)}. {_last_checkpoint(runner)} {_HOW_TO_FIX}'
                )

    def _non_finite_error(self, runner: Runner, name: str) -> CheckpointError:
        return CheckpointError(
            f'No checkpoint is saved at iteration {self._last_step}: weight {name} is '
            f'not finite. {_last_checkpoint(runner)} {_HOW_TO_FIX}'
        )


def _first_non_finite(state: dict[str, Tensor], runner: Runner) -> str | None:
    """Name of a parameter that is not finite, or of a buffer with NaN, if any.

    Buffers such as masks may contain infinities on purpose.
    """
    named = list(_non_finite_flags(state, runner))
    # One transfer for all instead of one for each.
    if named and torch.stack([flag for _, flag in named]).any():
        return next(name for name, flag in named if flag)
    return None


def _non_finite_flags(
    state: dict[str, Tensor], runner: Runner
) -> Iterator[tuple[str, Tensor]]:
    parameters = {name for name, _ in unwrap_model(runner.model).named_parameters()}
    for name, value in state.items():
        if not torch.is_tensor(value) or not value.is_floating_point():
            continue
        if name in parameters:
            yield name, ~value.isfinite().all()
        else:
            yield name, value.isnan().any()


def _format(values: dict) -> str:
    return ', '.join(f'{name} {value:g}' for name, value in values.items())


def _format_lrs(runner) -> str:
    lrs = runner.optim_wrapper.get_lr()
    return _format({name: values[0] for name, values in lrs.items()})


def _last_checkpoint(runner) -> str:
    path = find_latest_checkpoint(runner.work_dir)
    return f'The last good checkpoint is {path}.' if path else 'None was saved before.'

"""Stops a run whose loss is lost, before it overwrites its checkpoints."""

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

    Every output whose name contains ``loss`` counts, as in mmengine's own sum.
    Steps that the loss scaler of AMP skips, with finite losses and infinite
    gradients, do not. The losses stay on their device and are looked at together,
    every ``interval`` steps, before a validation, before a checkpoint and at the last
    step, so the host does not wait for the device in between. A step is bad where it
    is bad on any rank, and all ranks decide alike.

    :class:`AtomicCheckpointHook` puts a checkpoint off while such a series is open.
    Weights that are not finite are not saved at all (one bad step can ruin them while
    its own loss was finite), so that the last checkpoint stays good.

    Args:
        patience: Steps in a row, at least 1. Defaults to 3.
        interval: Steps between two looks, at least 1. Defaults to 50.

    Raises:
        ConfigError: ``patience`` or ``interval`` is below 1.
    """

    # Before those that rearrange a checkpoint (EMAHook) or write one.
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
        """Keep the losses of the step; look at them every ``interval`` steps.

        Args:
            runner: The runner.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: What ``train_step`` returned: names to scalar tensors or numbers.

        Raises:
            MMLGDError: There were ``patience`` bad steps in a row.
        """
        losses = {k: v for k, v in (outputs or {}).items() if 'loss' in k}
        self._last_step = runner.iter + 1
        self._pending.add(self._last_step, losses)
        if self.every_n_train_iters(runner, self.interval) or self.is_last_train_iter(
            runner
        ):
            self._look(runner)

    def before_val(self, runner: Runner) -> None:
        """Look before a validation, which may take long and may save the best."""
        self._look(runner)

    def refuse_checkpoint(self, runner: Runner, reasons: list[str]) -> None:
        """Say whether a checkpoint should wait; called on all ranks.

        Args:
            runner: The runner.
            reasons: Takes a reason where a series of bad steps is open.

        Raises:
            MMLGDError: There were ``patience`` bad steps in a row.
            CheckpointError: A weight is not finite, on any rank.
        """
        self._look(runner)
        name = _first_ruined(unwrap_model(runner.model).state_dict(), runner)
        is_ruined = torch.tensor(int(name is not None))
        all_reduce(is_ruined, op='max')
        if is_ruined:
            raise self._refusal(runner, name or 'of another rank')
        if self._streak:
            reasons.append(f'the last {self._streak} losses are not finite')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse weights that are not finite, whoever saves them.

        Args:
            runner: The runner.
            checkpoint: What is to be saved; ``state_dict`` is on the CPU.

        Raises:
            CheckpointError: A weight is not finite.
        """
        name = _first_ruined(checkpoint['state_dict'], runner)
        if name is not None:
            raise self._refusal(runner, name)

    def _look(self, runner: Runner) -> None:
        """Go through the steps since the last look; the same on all ranks."""
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
                    f'{_format_rates(runner)}. {_last_checkpoint(runner)} {_HOW_TO_FIX}'
                )

    def _refusal(self, runner: Runner, name: str) -> CheckpointError:
        return CheckpointError(
            f'No checkpoint is saved at iteration {self._last_step}: weight {name} is '
            f'not finite. {_last_checkpoint(runner)} {_HOW_TO_FIX}'
        )


def _first_ruined(state: dict[str, Tensor], runner: Runner) -> str | None:
    """Name of a parameter that is not finite, or of a buffer with NaN, if any.

    Buffers may hold infinities on purpose, such as masks.
    """
    named = list(_ruined_flags(state, runner))
    # One transfer for all, rather than one each.
    if named and torch.stack([flag for _, flag in named]).any():
        return next(name for name, flag in named if flag)
    return None


def _ruined_flags(
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


def _format_rates(runner) -> str:
    rates = runner.optim_wrapper.get_lr()
    return _format({name: values[0] for name, values in rates.items()})


def _last_checkpoint(runner) -> str:
    path = find_latest_checkpoint(runner.work_dir)
    return f'The last good checkpoint is {path}.' if path else 'None was saved before.'

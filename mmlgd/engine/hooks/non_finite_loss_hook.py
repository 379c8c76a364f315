"""Stops a run whose loss is lost, before it overwrites its checkpoints."""

import math

import torch
from mmengine.hooks import Hook
from mmengine.runner import find_latest_checkpoint

from mmlgd.errors import CheckpointError, ConfigError, MMLGDError
from mmlgd.registry import HOOKS
from mmlgd.utils.model import unwrap_model

_MEND = (
    'Try a lower learning rate or a longer warm-up, clip the gradients '
    "(optim_wrapper.clip_grad), train without AMP or with dtype='bfloat16' instead "
    'of float16, and look for broken images or constant features.'
)


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Raises after ``patience`` consecutive steps with a NaN or infinite loss.

    Every output whose name contains ``loss`` counts, as in mmengine's own sum.
    Steps that the loss scaler of AMP skips, with finite losses and infinite
    gradients, do not. No checkpoint is saved while such a series is open, nor of
    parameters that are not finite (one bad step can ruin them while its own loss
    was finite), so that the last checkpoint stays good.

    It is the first to look at the outputs of a step, brings them to the CPU in one
    transfer and leaves them there: mmengine's own hooks would wait for the device once
    for each.

    Args:
        patience: Steps in a row, at least 1. Defaults to 3.

    Raises:
        ConfigError: ``patience`` is below 1.
    """

    # Before the hook that logs the outputs (RuntimeInfoHook), and before those that
    # rearrange a checkpoint (EMAHook) or write one.
    priority = 'HIGHEST'

    def __init__(self, patience: int = 3) -> None:
        if patience < 1:
            raise ConfigError(
                f'NonFiniteLossHook.patience must be at least 1, but is {patience}.'
            )
        self.patience = patience
        self._streak = 0

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None
    ) -> None:
        """Look at the losses of the step.

        Args:
            runner (Runner): The runner.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: What ``train_step`` returned: names to scalar tensors or floats;
                the tensors are replaced by detached ones on the CPU, of float32.

        Raises:
            MMLGDError: The ``patience``-th bad step in a row.
        """
        outputs = {} if outputs is None else outputs
        _move_to_cpu(outputs)
        losses = {name: value for name, value in outputs.items() if 'loss' in name}
        finite = all(map(math.isfinite, losses.values()))
        self._streak = 0 if finite else self._streak + 1
        if self._streak >= self.patience:
            raise MMLGDError(
                f'The loss is not finite for {self._streak} steps in a row, the last '
                f'of them iteration {runner.iter + 1}: {_format(losses)}; learning '
                f'rates: {_format_rates(runner)}. {_last_checkpoint(runner)} {_MEND}'
            )

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Refuse a checkpoint that would not be good.

        Args:
            runner (Runner): The runner.
            checkpoint: What is to be saved; ``state_dict`` is on the CPU.

        Raises:
            CheckpointError: A series of bad steps is open, or a parameter is not
                finite.
        """
        if self._streak:
            reason = f'the last {self._streak} losses are not finite'
        else:
            name = _first_non_finite(runner, checkpoint['state_dict'])
            if name is None:
                return
            reason = f'parameter {name} is not finite'
        raise CheckpointError(
            f'No checkpoint is saved at iteration {runner.iter + 1}: {reason}. '
            f'{_last_checkpoint(runner)} {_MEND}'
        )


def _move_to_cpu(outputs: dict) -> None:
    scalars = {
        name: value.detach().float().reshape(())
        for name, value in outputs.items()
        if torch.is_tensor(value) and value.numel() == 1
    }
    if scalars:
        outputs.update(zip(scalars, torch.stack([*scalars.values()]).cpu()))


def _first_non_finite(runner, state: dict) -> str | None:
    model = unwrap_model(runner.model)
    # Buffers stay out: masks may hold infinities on purpose.
    for name, _ in model.named_parameters():
        if name in state and not state[name].isfinite().all():
            return name
    return None


def _format(values: dict) -> str:
    return ', '.join(f'{name} {value:g}' for name, value in values.items())


def _format_rates(runner) -> str:
    rates = runner.optim_wrapper.get_lr()
    return _format({name: values[0] for name, values in rates.items()})


def _last_checkpoint(runner) -> str:
    path = find_latest_checkpoint(runner.work_dir)
    return f'The last good checkpoint is {path}.' if path else 'None was saved before.'

"""Logged scalars without a device synchronisation in every step."""

from collections.abc import Callable, Sequence

from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.runner import Runner
from torch import Tensor

from mmlgd.engine.pending_scalars import PendingScalars
from mmlgd.registry import HOOKS
from mmlgd.utils.checks import check_count

_DEFAULT_INTERVAL = 50


@HOOKS.register_module()
class DeferredRuntimeInfoHook(RuntimeInfoHook):
    """mmengine's RuntimeInfoHook, which reads the losses of many steps together.

    mmengine's hook reads the value of every output in every step, and its optimizer
    wrapper reads the norm of clipped gradients. On a GPU, the host waits each time for
    all preceding work. Here the values stay on the device until the log, a checkpoint
    or a validation needs them. Then the values of all steps are added to the message
    hub, in order. The logged values are the same. A hook that reads the message hub in
    between gets the values of the last transfer.

    It replaces mmengine's hook::

        default_hooks = dict(runtime_info=dict(type='DeferredRuntimeInfoHook'))

    Args:
        interval (int, optional): Steps between two transfers, at least 1. Defaults to
            None: the interval of the Runner's ``LoggerHook``, or 50 without one.

    Raises:
        ConfigError: The interval is not an integer above 0.
    """

    def __init__(self, interval: int | None = None) -> None:
        if interval is not None:
            check_count('DeferredRuntimeInfoHook.interval', interval, 1)
        self.interval = interval
        self._pending = PendingScalars()
        self._norms: _NormRecorder | None = None

    def before_train(self, runner: Runner) -> None:
        """Find the interval of the log, and keep the norms of clipped gradients."""
        super().before_train(runner)
        if self.interval is None:
            loggers = [each for each in runner.hooks if isinstance(each, LoggerHook)]
            self.interval = loggers[0].interval if loggers else _DEFAULT_INTERVAL
        wrapper = runner.optim_wrapper
        if getattr(wrapper, 'clip_grad_kwargs', None) and self._norms is None:
            wrapper.clip_func = self._norms = _NormRecorder(wrapper.clip_func)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Keep the outputs of the step, and read them when the log needs them.

        Args:
            runner: The runner.
            batch_idx: Index of the batch in the loop, which the log interval counts.
            data_batch: Unused.
            outputs: Output of ``train_step``: names to scalar tensors or numbers.
        """
        values = dict(outputs or {})
        norm = self._norms and self._norms.take()
        if norm is not None:
            values[runner.optim_wrapper.grad_name] = norm
        self._pending.add(runner.iter, values)
        if (
            self.every_n_inner_iters(batch_idx, self.interval)
            or self.every_n_train_iters(runner, self.interval)
            or self.end_of_epoch(runner.train_dataloader, batch_idx)
            or self.is_last_train_iter(runner)
        ):
            self._read(runner)

    def before_val(self, runner: Runner) -> None:
        """Read the kept values, so that they are logged with the preceding training."""
        self._read(runner)
        super().before_val(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the kept values to the history in the checkpoint."""
        self._read(runner)
        checkpoint['message_hub'] = runner.message_hub.state_dict()

    def _read(self, runner: Runner) -> None:
        for _, values in self._pending.read():
            for name, value in values.items():
                runner.message_hub.update_scalar(f'train/{name}', value)


class _NormRecorder:
    """A clipping function that keeps the gradient norm on its device.

    mmengine's optimizer wrapper logs the returned norm, which it reads immediately.
    """

    def __init__(self, clip: Callable[..., Tensor | None]) -> None:
        self._clip = clip
        self._norm: Tensor | None = None

    def __call__(self, params: Sequence[Tensor], **kwargs) -> None:
        self._norm = self._clip(params, **kwargs)

    def take(self) -> Tensor | None:
        """The norm of the last step; None if there is none or it was already returned."""
        norm, self._norm = self._norm, None
        return norm

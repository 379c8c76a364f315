"""Checkpoints by time, and before a scheduler stops the run."""

import os
import signal
import time

import torch
from mmengine.dist import all_reduce, barrier
from mmengine.hooks import Hook

from mmlgd.errors import ConfigError
from mmlgd.registry import HOOKS

from .atomic_checkpoint_hook import AtomicCheckpointHook


class Preempted(SystemExit):
    """Ends a preempted training with the exit code that asks for a new start."""


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Saves by iterations or minutes, and saves and exits on a preemption signal.

    A signal on any rank, or the minutes of the slowest clock, are agreed on by all ranks
    with one small reduction every ``check_interval`` iterations. All ranks then save
    after the same iteration, through the run's AtomicCheckpointHook, and exit with
    ``exit_code``. Other steps read nothing from the device.

    An epoch-based training can only be resumed at the start of an epoch. A signal then
    stops it without saving: it resumes from the checkpoint of the last saved epoch, and
    ``iterations`` and ``minutes`` are refused.

    Args:
        iterations: Iterations between checkpoints. Defaults to None, not by iterations.
        minutes: Minutes between checkpoints. Defaults to None, not by time. Either kind
            of checkpoint restarts both counts.
        signals: Names of the signals that announce the end of the process.
        check_interval: Iterations between two agreements of the ranks.
        exit_code: Of a preempted training. Defaults to 75, ``EX_TEMPFAIL`` of sysexits.

    Raises:
        ConfigError: A number is not positive, a signal is unknown, the training is by
            epoch with ``iterations`` or ``minutes``, or the run has no
            AtomicCheckpointHook that counts like its loop.
    """

    # After the hooks that step schedulers and save.
    priority = 'LOWEST'

    def __init__(
        self,
        iterations: int | None = None,
        minutes: float | None = None,
        signals: tuple[str, ...] = ('SIGTERM', 'SIGUSR1'),
        check_interval: int = 10,
        exit_code: int = 75,
    ) -> None:
        numbers = dict(
            iterations=iterations,
            minutes=minutes,
            check_interval=check_interval,
            exit_code=exit_code,
        )
        for name, value in numbers.items():
            if value is not None and not value > 0:
                raise ConfigError(f'PreemptionHook: {name}={value} must be positive.')
        for name in signals:
            if name not in signal.Signals.__members__:
                raise ConfigError(f'PreemptionHook: {name!r} is not a signal.')
        self.iterations, self.minutes = iterations, minutes
        self.signals = tuple(signal.Signals[name] for name in signals)
        self.check_interval, self.exit_code = check_interval, exit_code
        self._received = self._stopping = False
        self._previous: dict = {}

    def before_train(self, runner) -> None:
        """Check the run, and catch the signals."""
        # mmengine's epoch-based loop has no stream of batches.
        self._by_epoch = not hasattr(runner.train_loop, 'dataloader_iterator')
        self._saver = next(
            (one for one in runner.hooks if isinstance(one, AtomicCheckpointHook)), None
        )
        saves = self.iterations or self.minutes
        if saves and self._by_epoch:
            raise ConfigError(
                'PreemptionHook saves by iterations or minutes only in an '
                'iteration-based training, since one by epoch resumes at the start of '
                'an epoch. Set train_cfg=dict(by_epoch=False, ...).'
            )
        if saves and (self._saver is None or self._saver.by_epoch):
            raise ConfigError(
                'PreemptionHook needs default_hooks=dict(checkpoint=dict('
                "type='AtomicCheckpointHook', by_epoch=False, ...))."
            )
        self._saved_at, self._saved_time = runner.iter, time.monotonic()
        self._pid = os.getpid()
        try:
            for each in self.signals:
                self._previous[each] = signal.signal(each, self._receive)
        except ValueError:
            runner.logger.warning(
                'Preemption signals are not caught: the training does not run in the '
                'main thread.'
            )

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Agree with the other ranks; save and exit if it is time."""
        done = runner.iter + 1
        due = bool(self.iterations) and done - self._saved_at >= self.iterations
        if done % self.check_interval == 0:
            minutes = (time.monotonic() - self._saved_time) / 60
            late = bool(self.minutes) and minutes >= self.minutes
            flags = torch.tensor([int(self._received), int(late)])
            all_reduce(flags, 'max')
            stopping, late = flags.tolist()
            self._stopping |= bool(stopping)
            due |= bool(late)
        saved = False
        can_save = self._saver is not None and not (
            self._by_epoch or self._saver.by_epoch
        )
        if can_save and (due or self._stopping):
            saved = self._saver.save_now(runner)
            if saved:
                self._saved_at, self._saved_time = done, time.monotonic()
        # A refused checkpoint is tried again after the next iteration.
        if self._stopping and (saved or not can_save):
            self._exit(runner, saved)

    def after_train(self, runner) -> None:
        """Give the signals back."""
        for each, previous in self._previous.items():
            signal.signal(each, previous)
        self._previous.clear()

    def _exit(self, runner, saved: bool) -> None:
        what = (
            'a checkpoint was saved'
            if saved
            else 'nothing was saved within the epoch; the last checkpoint is complete'
        )
        runner.logger.warning(
            f'Stopped by a preemption signal after iteration {runner.iter + 1}: {what}. '
            f'Exit code {self.exit_code}; start again with --resume.'
        )
        # Launchers kill the other ranks when one exits, and rank 0 may still be writing.
        barrier()
        self.after_train(runner)
        raise Preempted(self.exit_code)

    def _receive(self, number: int, frame) -> None:
        if os.getpid() == self._pid:
            self._received = True
        elif number == signal.SIGTERM:
            # A forked process, such as a worker, ends as usual.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

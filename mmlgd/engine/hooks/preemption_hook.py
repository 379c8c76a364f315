"""A checkpoint, and an exit that asks for a restart, before a scheduler ends the run."""

import os
import signal
import time
from contextlib import nullcontext
from types import FrameType
from typing import Any

from mmengine.dist import barrier
from mmengine.hooks import Hook

from mmlgd.engine.averaged_weights import swapped_averages
from mmlgd.engine.resumable_loop import batches_of_epoch, is_resumable
from mmlgd.errors import ConfigError
from mmlgd.registry import HOOKS
from mmlgd.utils.agreement import Agreement
from mmlgd.utils.checks import check_count
from mmlgd.utils.mmengine_private import is_training
from mmlgd.utils.suggest import suggest
from mmlgd.utils.torchrun import LaunchFolder

from .atomic_checkpoint_hook import AtomicCheckpointHook

#: Seconds that a rank waits for the signal of its own torchrun, see _await_torchrun.
_AGENT_LIMIT = 20


class Preempted(SystemExit):
    """Ends a preempted training.

    Attributes:
        code (int): Exit code that asks the scheduler for a restart.
        requested (bool): Whether the launcher of a machine was signalled, not a rank.
    """

    code: int

    def __init__(self, code: int, requested: bool) -> None:
        super().__init__(code)
        self.requested = requested


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Saves a checkpoint and exits when a signal announces the end of the process.

    A signal on any rank stops all ranks after the same iteration, or within a
    validation: the ranks agree every ``check_interval`` batches, on the CPU. All of them
    then save through the run's AtomicCheckpointHook and exit with ``exit_code``. Further
    signals change nothing. A checkpoint that another hook refuses is tried again after
    the next iteration (batch of a validation). The resumed run does not repeat an
    interrupted validation.

    With mmengine's own loop by epochs, which cannot resume within an epoch, or without
    an AtomicCheckpointHook, nothing is saved; the last checkpoint stays as it is.

    Signals are caught from the start of the run, in the main thread, until it ends or
    fails. Started by ``tools/dist_*.sh``, the ranks also stop if their launcher is signalled.

    Args:
        signals: Names of the signals. Defaults to those of Kubernetes and Slurm, SIGTERM
            and SIGUSR1.
        check_interval: Batches between two agreements of the ranks; a single rank checks
            after every batch. Defaults to 10.
        exit_code: Of a preempted training. Defaults to 75, ``EX_TEMPFAIL`` of
            sysexits.h.

    Raises:
        ConfigError: A signal is unknown, or a number is below 1.
    """

    # After the hooks that step schedulers and save.
    priority = 'LOWEST'

    def __init__(
        self,
        signals: tuple[str, ...] = ('SIGTERM', 'SIGUSR1'),
        check_interval: int = 10,
        exit_code: int = 75,
    ) -> None:
        check_count('PreemptionHook.check_interval', check_interval, 1)
        self.exit_code = check_count('PreemptionHook.exit_code', exit_code, 1)
        known = signal.Signals.__members__
        for name in signals:
            if name not in known:
                raise ConfigError(
                    f'PreemptionHook.signals: {name!r} is not a signal of this '
                    f'system.{suggest(name, known)}'
                )
        self.signals = tuple(signal.Signals[name] for name in signals)
        self._agreement = Agreement(check_interval)
        self._launch: LaunchFolder | None = None
        self._received = self._in_training = False
        self._stopping: list[int] = []
        self._previous: dict[signal.Signals, Any] = {}
        self._val_batches = 0

    def before_run(self, runner) -> None:
        """Catch the signals of a training."""
        if not is_training(runner):
            return
        self._received, self._stopping = False, []
        self._runner, self._pid = runner, os.getpid()
        try:
            for each in self.signals:
                self._previous[each] = signal.signal(each, self._receive)
        except ValueError:
            runner.logger.warning(
                'PreemptionHook catches no signals, because the training does not run in '
                'the main thread.'
            )
            return
        self._launch = LaunchFolder.of_rank()
        if self._launch:
            self._launch.listen()

    def before_train(self, runner) -> None:
        """Find the hook that saves."""
        self._in_training = True
        savers = [one for one in runner.hooks if isinstance(one, AtomicCheckpointHook)]
        self._saver = savers[0] if savers else None

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Stop if the ranks agree."""
        done = runner.iter + 1
        if self._stopping or self._agreement.is_due(done):
            self._stop_if_agreed(runner, done)

    def before_val_epoch(self, runner) -> None:
        """Find the number of batches that every rank has."""
        if self._in_training:
            # A loop over several datasets has no single loader.
            loader = getattr(runner.val_loop, 'dataloader', ())
            self._val_batches = self._agreement.reduce([len(loader)], 'min')[0]

    def after_val_iter(
        self, runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Stop within a validation if the ranks agree."""
        done = batch_idx + 1
        if (
            self._in_training
            and done <= self._val_batches
            and self._agreement.is_due(done)
        ):
            self._stop_if_agreed(runner, runner.iter, validating=True)

    def after_train(self, runner) -> None:
        """End the agreements, also in a later validation."""
        self._in_training = False

    def after_run(self, runner) -> None:
        """Restore the handlers of the signals."""
        if self._launch:
            self._launch.stop_listening()
        self._restore_handlers()

    def _restore_handlers(self) -> None:
        for each, previous in self._previous.items():
            signal.signal(each, previous)
        self._previous.clear()

    def _stop_if_agreed(self, runner, done: int, validating: bool = False) -> None:
        """Save and exit if a rank has received a signal.

        Args:
            runner (Runner): The runner.
            done: Completed iterations.
            validating: Whether a validation is interrupted.
        """
        if not self._stopping:
            requested = self._launch is not None and self._launch.is_stop_requested()
            flags = self._agreement.reduce([int(self._received), int(requested)])
            if not any(flags):
                return
            self._stopping = flags
        can_save = is_resumable(runner) or not batches_of_epoch(runner, done)
        if self._saver is None or not can_save:
            state = 'nothing was saved; the last checkpoint is complete'
        else:
            with swapped_averages(runner) if validating else nullcontext():
                saved = self._saver.save_now(runner, done)
            if not saved:
                return
            state = f'saved {self._saver.last_ckpt}'
        runner.logger.warning(
            f'A signal stopped the training after iteration {done}: {state}. Exit code '
            f'{self.exit_code}; start again with --resume.'
        )
        # Launchers kill the other ranks when one exits, and rank 0 may still be writing.
        barrier()
        requested = bool(self._stopping[1])
        if not requested:
            self._await_torchrun()
        self.after_train(runner)
        self.after_run(runner)
        raise Preempted(self.exit_code, requested)

    def _await_torchrun(self) -> None:
        """Wait for the signal of this machine's torchrun.

        The torchrun of each machine stops its ranks when a machine joins. The ranks of a
        slower one would otherwise exit first, which it would take for the end of the
        training, or for a failure.
        """
        ranks = int(os.environ.get('WORLD_SIZE', 1))
        if int(os.environ.get('LOCAL_WORLD_SIZE', ranks)) == ranks:
            return
        end = time.monotonic() + _AGENT_LIMIT
        while not self._received and time.monotonic() < end:
            time.sleep(0.05)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        is_forked = os.getpid() != self._pid
        if not is_forked and _is_called_by(self._runner, frame):
            self._received = True
        elif not is_forked or number == signal.SIGTERM:
            # The training has failed, or a forked process is to end.
            self._restore_handlers()
            os.kill(os.getpid(), number)


def _is_called_by(runner, frame: FrameType | None) -> bool:
    """Whether a method of the runner is being executed."""
    while frame is not None and frame.f_locals.get('self') is not runner:
        frame = frame.f_back
    return frame is not None

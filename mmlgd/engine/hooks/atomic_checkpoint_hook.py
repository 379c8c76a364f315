"""Checkpoints that survive a full disk or a killed process."""

import os.path as osp
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import find_latest_checkpoint

from mmlgd.engine.atomic_backend import ATOMIC_BACKEND, AtomicLocalBackend
from mmlgd.engine.resumable_loop import (
    EPOCH_BATCHES,
    batches_of_epoch,
    is_resumable,
)
from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.registry import HOOKS
from mmlgd.utils.agreement import Agreement
from mmlgd.utils.atomic import remove_leftovers

#: Info in the message hub: file name of the checkpoint of :meth:`save_now`.
_INTERIM = 'interim_ckpt'


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, which always keeps a complete previous checkpoint.

    A checkpoint is written under a temporary name in its folder, flushed to disk and
    renamed. Then ``last_checkpoint``, replaced in the same way, points to it. Only then
    are outdated checkpoints (``max_keep_ckpts``) and the previous best (``save_best``)
    removed, so the disk needs room for one more. Partial files of a killed run are
    removed when training starts.

    Other hooks may define ``after_save_checkpoint(runner, path)`` and
    ``after_remove_checkpoint(runner, path)``. They are called on rank 0 when a
    checkpoint is completely written or removed.

    On an object store, or with custom ``backend_args``, that backend writes the files;
    the order of saving and removing is the same.

    Before saving, ``refuse_checkpoint(runner, reasons)`` of each hook that defines it is
    called on all ranks. It appends to ``reasons`` if the state should not be saved. The
    checkpoint is then postponed to the next iteration or, by epoch, to the end of the
    next epoch, and earlier checkpoints are kept. At the last step the checkpoint is
    saved with a warning.

    Between these checkpoints, :meth:`save_now` saves ``iter_<N>.pth``, also within an
    epoch. It is called every ``interval_minutes`` and by :class:`PreemptionHook`. Such a
    file is removed when the next checkpoint of any kind is complete.

    Args:
        *args: As for :class:`mmengine.hooks.CheckpointHook`.
        interval_minutes: Minutes without a checkpoint after which one is saved. The
            ranks agree on it every 10 iterations. Defaults to None, not by time.
        **kwargs: As for :class:`mmengine.hooks.CheckpointHook`.

    Raises:
        ConfigError: ``interval_minutes`` is not positive, or the loop cannot resume
            within an epoch.
        CheckpointError: A checkpoint cannot be written. The message gives its path, the
            needed and the free space, and the previous checkpoint.
    """

    backend_args: dict | None
    # Iteration or epoch of the postponed checkpoint.
    _postponed_at: int | None = None
    # Completed iterations at the last checkpoint of this process, and its time.
    _saved_iter: int | None = None
    _saved_time: float

    def __init__(self, *args, interval_minutes: float | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if interval_minutes is not None and not interval_minutes > 0:
            raise ConfigError(
                f'AtomicCheckpointHook.interval_minutes={interval_minutes} must be '
                'positive; omit it to save by epochs or iterations only.'
            )
        self.interval_minutes = interval_minutes
        self._agreement = Agreement()

    def before_train(self, runner) -> None:
        """Choose the backend that replaces files atomically."""
        folder = str(self.out_dir or runner.work_dir)
        if '://' not in folder and not (self.backend_args or self.file_client_args):
            self.backend_args = dict(backend=ATOMIC_BACKEND)
        super().before_train(runner)
        if self.interval_minutes and not is_resumable(runner):
            raise ConfigError(
                'AtomicCheckpointHook.interval_minutes saves within epochs, but '
                f'{type(runner.train_loop).__name__} resumes at the start of an epoch; '
                "train with tools/train.py, or set train_cfg.type='ResumableEpochLoop'."
            )
        self._saved_time = time.monotonic()
        if is_main_process() and isinstance(self.file_backend, AtomicLocalBackend):
            leftovers = remove_leftovers(self.out_dir)
            if leftovers:
                runner.logger.info(
                    f'Removed partial files of a killed run: {leftovers}'
                )

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Save by iterations, and save a checkpoint postponed by an earlier iteration."""
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if not self.by_epoch:
            self._save_postponed(runner, runner.iter)
        done = runner.iter + 1
        if self.interval_minutes and self._agreement.is_due(done):
            minutes = (time.monotonic() - self._saved_time) / 60
            if any(self._agreement.reduce([int(minutes >= self.interval_minutes)])):
                self.save_now(runner, done)

    def after_train_epoch(self, runner) -> None:
        """Save by epochs, and save a checkpoint postponed by an earlier epoch."""
        super().after_train_epoch(runner)
        if self.by_epoch:
            self._save_postponed(runner, runner.epoch)

    def save_now(self, runner, done: int) -> bool:
        """Save between the regular checkpoints; all ranks must call it.

        Nothing is written if there is a checkpoint of this iteration.

        Args:
            runner (Runner): Its loop must be resumable within an epoch, unless an epoch
                has just been completed.
            done: Number of completed iterations.

        Returns:
            bool: Whether a checkpoint of this iteration exists; False if a hook refused.
        """
        if self._saved_iter == done:
            return True
        reasons = _refusal_reasons(runner)
        if reasons:
            runner.logger.warning(
                f'No checkpoint is saved after iteration {done}: {reasons}.'
            )
            return False
        name, meta = f'iter_{done}.pth', dict(epoch=runner.epoch, iter=done)
        self._write(runner, name, meta, outdated=[], interim=name)
        return True

    def _save_postponed(self, runner, step: int) -> None:
        if self._postponed_at not in (None, step):
            self._save_checkpoint(runner)

    def _save_checkpoint(self, runner) -> None:
        reasons = _refusal_reasons(runner)
        is_last = self.is_last_train_epoch if self.by_epoch else self.is_last_train_iter
        if not reasons or is_last(runner):
            if reasons:
                runner.logger.warning(f'The last checkpoint is saved, but {reasons}.')
            self._postponed_at = None
            super()._save_checkpoint(runner)
            return
        self._postponed_at = runner.epoch if self.by_epoch else runner.iter
        then = 'epoch' if self.by_epoch else 'iteration'
        runner.logger.warning(
            f'The checkpoint is postponed to the next {then}: {reasons}.'
        )

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        outdated = self._update_kept_steps(runner, step)
        self._write(runner, self.filename_tmpl.format(step), meta, outdated)

    def _write(
        self,
        runner,
        name: str,
        meta: dict,
        outdated: list[str],
        interim: str | None = None,
    ) -> None:
        """Write a checkpoint and its pointer, then remove outdated ones.

        Args:
            runner (Runner): The runner.
            name: File name.
            meta: ``epoch`` and ``iter``, both completed.
            outdated: Paths of the checkpoints to remove.
            interim: Its name, if the next checkpoint outdates it.
        """
        hub = runner.message_hub
        previous = hub.pop_info(_INTERIM, None)
        if previous not in (None, name):
            outdated = [*outdated, self.file_backend.join_path(self.out_dir, previous)]
        if interim:
            hub.update_info(_INTERIM, interim)
        if meta['epoch'] == runner.epoch and (
            batches := batches_of_epoch(runner, meta['iter'])
        ):
            # Also of a checkpoint by iterations.
            hub.update_info(EPOCH_BATCHES, batches)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        hub.update_info('last_ckpt', self.last_ckpt)
        with _previous_checkpoint_in_errors(runner):
            runner.save_checkpoint(
                self.out_dir,
                name,
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                backend_args=self.backend_args,
                **self.args,
            )
            if is_main_process():
                pointer = osp.join(runner.work_dir, 'last_checkpoint')
                AtomicLocalBackend().put(self.last_ckpt.encode(), pointer)
        hub.pop_info(EPOCH_BATCHES, None)
        self._saved_iter, self._saved_time = meta['iter'], time.monotonic()
        if is_main_process():
            runner.call_hook('after_save_checkpoint', path=self.last_ckpt)
            for path in outdated:
                self._remove_checkpoint(path)
                runner.call_hook('after_remove_checkpoint', path=path)

    def _update_kept_steps(self, runner, step: int) -> list[str]:
        """Add the step to those to keep; return the checkpoints that it outdates."""
        if self.max_keep_ckpts <= 0:
            return []
        kept = list(self.keep_ckpt_ids)
        if kept[-1:] == [step]:
            return []
        dropped = kept[: len(kept) + 1 - self.max_keep_ckpts]
        self.keep_ckpt_ids.append(step)
        # A resumed run reads this list from the checkpoint.
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        return [
            self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old))
            for old in dropped
        ]

    def _remove_checkpoint(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):
            # DeepSpeed saves folders.
            self.file_backend.rmtree(path)

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        if self.save_best and (reasons := _refusal_reasons(runner)):
            runner.logger.warning(f'No best checkpoint is saved: {reasons}.')
            return
        # A run that only validates has no backend and saves nothing.
        atomic = self.save_best and isinstance(self.file_backend, AtomicLocalBackend)
        if not atomic:
            super()._save_best_checkpoint(runner, metrics)
            return
        with self.file_backend.deferred_removals() as removals:
            with _previous_checkpoint_in_errors(runner):
                super()._save_best_checkpoint(runner, metrics)
            # A resumed run may repeat a validation; its best then has the same name.
            best = {getattr(self, 'best_ckpt_path', None)}
            best.update(getattr(self, 'best_ckpt_path_dict', {}).values())
            removals[:] = [path for path in removals if path not in best]
        if is_main_process():
            now = self.filename_tmpl.format(
                runner.epoch if self.by_epoch else runner.iter
            )
            for path in sorted(each for each in best if each and each.endswith(now)):
                runner.call_hook('after_save_checkpoint', path=path)
            for path in removals:
                runner.call_hook('after_remove_checkpoint', path=path)


def _refusal_reasons(runner) -> str:
    """Reasons of hooks against saving the current state; '' if there are none."""
    reasons: list[str] = []
    runner.call_hook('refuse_checkpoint', reasons=reasons)
    return '; '.join(reasons)


@contextmanager
def _previous_checkpoint_in_errors(runner) -> Iterator[None]:
    try:
        yield
    except CheckpointError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        previous = find_latest_checkpoint(runner.work_dir)
        state = (
            f'The previous checkpoint {previous} is complete'
            if previous
            else 'There is no previous checkpoint'
        )
        raise CheckpointError(
            f'{error} {state}; free some space (or lower max_keep_ckpts) and start '
            'again with --resume.'
        ) from error

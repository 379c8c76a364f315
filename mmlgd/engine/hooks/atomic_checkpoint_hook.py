"""Checkpoints that survive a full disk or a killed process."""

import os.path as osp
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import find_latest_checkpoint

from mmlgd.engine.atomic_backend import ATOMIC_BACKEND, AtomicLocalBackend
from mmlgd.errors import CheckpointError
from mmlgd.registry import HOOKS
from mmlgd.utils.atomic import remove_leftovers


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

    Args:
        *args: As for :class:`mmengine.hooks.CheckpointHook`.
        **kwargs: As for :class:`mmengine.hooks.CheckpointHook`.

    Raises:
        CheckpointError: A checkpoint cannot be written. The message gives its path, the
            needed and the free space, and the previous checkpoint.
    """

    backend_args: dict | None
    # Iteration or epoch of the postponed checkpoint.
    _postponed_at: int | None = None

    def before_train(self, runner) -> None:
        """Choose the backend that replaces files atomically."""
        folder = str(self.out_dir or runner.work_dir)
        if '://' not in folder and not (self.backend_args or self.file_client_args):
            self.backend_args = dict(backend=ATOMIC_BACKEND)
        super().before_train(runner)
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

    def after_train_epoch(self, runner) -> None:
        """Save by epochs, and save a checkpoint postponed by an earlier epoch."""
        super().after_train_epoch(runner)
        if self.by_epoch:
            self._save_postponed(runner, runner.epoch)

    def save_now(self, runner) -> bool:
        """Save after the running iteration or epoch, on all ranks.

        Returns:
            bool: Whether it is saved; False if another hook refused.
        """
        step = (runner.epoch if self.by_epoch else runner.iter) + 1
        name = self.filename_tmpl.format(step)
        if osp.basename(self.last_ckpt or '') != name:
            self._save_checkpoint(runner)
        return osp.basename(self.last_ckpt or '') == name

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
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        with _previous_checkpoint_in_errors(runner):
            runner.save_checkpoint(
                self.out_dir,
                name,
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
            if is_main_process():
                pointer = osp.join(runner.work_dir, 'last_checkpoint')
                AtomicLocalBackend().put(self.last_ckpt.encode(), pointer)
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

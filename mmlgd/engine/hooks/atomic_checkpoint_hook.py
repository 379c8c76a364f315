"""Checkpoints that survive a full disk and a kill."""

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
    """mmengine's CheckpointHook, with the previous checkpoint whole at any moment.

    A checkpoint is written under a temporary name in its folder, flushed to disk and
    renamed. Only then does ``last_checkpoint`` (replaced in the same way) point to
    it, and only then are the outdated ones (``max_keep_ckpts``) and the previous best
    (``save_best``) removed; the disk therefore needs room for one more. Parts left
    by a killed run are removed when training starts.

    Other hooks may have ``after_save_checkpoint(runner, path)`` and
    ``after_remove_checkpoint(runner, path)``, called on rank 0 when a checkpoint is
    whole on the disk, or gone.

    On an object store, or with ``backend_args`` of one's own, writing is up to that
    backend; the order of saving and removing outdated ones stays.

    Before a save each hook with a method ``refuse_checkpoint(runner, reasons)`` is
    asked, on all ranks, whether the state is worth saving; it appends to ``reasons``
    where it is not. The save is then put off, to the next iteration or, by epoch, to
    the end of the next epoch, and what was saved before stays. At the last step it is
    saved with a warning.

    Args:
        *args: As for :class:`mmengine.hooks.CheckpointHook`.
        **kwargs: As for :class:`mmengine.hooks.CheckpointHook`.

    Raises:
        CheckpointError: A checkpoint cannot be written. Names it, the space needed
            and free, and the previous checkpoint.
    """

    backend_args: dict | None
    # The iteration, or the epoch, whose checkpoint is still to be saved.
    _put_off_at: int | None = None

    def before_train(self, runner) -> None:
        """Choose the backend that replaces files atomically."""
        folder = str(self.out_dir or runner.work_dir)
        if '://' not in folder and not (self.backend_args or self.file_client_args):
            self.backend_args = dict(backend=ATOMIC_BACKEND)
        super().before_train(runner)
        if is_main_process() and isinstance(self.file_backend, AtomicLocalBackend):
            leftovers = remove_leftovers(self.out_dir)
            if leftovers:
                runner.logger.info(f'Removed parts of a killed run: {leftovers}')

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Save by iterations, and what an earlier iteration put off."""
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if not self.by_epoch:
            self._make_up(runner, runner.iter)

    def after_train_epoch(self, runner) -> None:
        """Save by epochs, and what an earlier epoch put off."""
        super().after_train_epoch(runner)
        if self.by_epoch:
            self._make_up(runner, runner.epoch)

    def _make_up(self, runner, step: int) -> None:
        if self._put_off_at not in (None, step):
            self._save_checkpoint(runner)

    def _save_checkpoint(self, runner) -> None:
        reasons = _reasons_against(runner)
        is_last = self.is_last_train_epoch if self.by_epoch else self.is_last_train_iter
        if not reasons or is_last(runner):
            if reasons:
                runner.logger.warning(f'The last checkpoint is saved, but {reasons}.')
            self._put_off_at = None
            super()._save_checkpoint(runner)
            return
        self._put_off_at = runner.epoch if self.by_epoch else runner.iter
        then = 'epoch' if self.by_epoch else 'iteration'
        runner.logger.warning(
            f'The checkpoint is put off to the next {then}: {reasons}.'
        )

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        outdated = self._enlist(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        with _naming_previous(runner):
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
                self._discard(path)
                runner.call_hook('after_remove_checkpoint', path=path)

    def _enlist(self, runner, step: int) -> list[str]:
        """Note the step among those to keep; return what it makes outdated."""
        if self.max_keep_ckpts <= 0:
            return []
        kept = list(self.keep_ckpt_ids)
        if kept[-1:] == [step]:
            return []
        dropped = kept[: len(kept) + 1 - self.max_keep_ckpts]
        self.keep_ckpt_ids.append(step)
        # The checkpoint about to be saved carries this list, for a resumed run.
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        return [
            self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old))
            for old in dropped
        ]

    def _discard(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):
            # DeepSpeed saves folders.
            self.file_backend.rmtree(path)

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        if self.save_best and (reasons := _reasons_against(runner)):
            runner.logger.warning(f'No best checkpoint is saved: {reasons}.')
            return
        # A run that only validates has no backend yet, and saves nothing.
        atomic = self.save_best and isinstance(self.file_backend, AtomicLocalBackend)
        if not atomic:
            super()._save_best_checkpoint(runner, metrics)
            return
        with self.file_backend.removing_last() as removals:
            with _naming_previous(runner):
                super()._save_best_checkpoint(runner, metrics)
            # A resumed run may repeat a validation: its best has the same name.
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


def _reasons_against(runner) -> str:
    """What hooks say against saving the present state; '' where nothing."""
    reasons: list[str] = []
    runner.call_hook('refuse_checkpoint', reasons=reasons)
    return '; '.join(reasons)


@contextmanager
def _naming_previous(runner) -> Iterator[None]:
    try:
        yield
    except CheckpointError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        previous = find_latest_checkpoint(runner.work_dir)
        state = (
            f'The previous checkpoint {previous} is whole'
            if previous
            else 'There is no previous checkpoint'
        )
        raise CheckpointError(
            f'{error} {state}; free some space (or lower max_keep_ckpts) and start '
            'again with --resume.'
        ) from error

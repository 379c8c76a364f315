"""Writes the student's backbone beside every checkpoint."""

from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlgd.errors import CheckpointError
from mmlgd.registry import HOOKS
from mmlgd.utils.atomic import replace_file
from mmlgd.utils.checkpoint import ORIGIN_KEYS

_META_KEYS = (*ORIGIN_KEYS, 'backbone', 'default_scope', 'epoch', 'iter')


@HOOKS.register_module()
class ExportBackboneHook(Hook):
    """Writes the backbone alone, once a checkpoint is whole on the disk.

    ``backbone.pth`` in the work directory is the backbone of the newest checkpoint. Each
    checkpoint has its own beside it: ``backbone_epoch_12.pth`` beside ``epoch_12.pth``,
    ``backbone_best_NAME_epoch_8.pth`` beside ``best_NAME_epoch_8.pth``; it is removed
    together with the checkpoint (``max_keep_ckpts``, a new best). Under mmengine's own
    ``CheckpointHook``, which names no finished checkpoint, there is ``backbone.pth``
    alone.

    A file holds ``state_dict`` with the ``backbone.*`` keys and ``meta`` with
    the preprocessing, and loads with plain ``torch.load(weights_only=True)``.
    Under an EMA hook it holds the averaged weights, as the checkpoint does.

    Args:
        filename (str): Name within the work directory; those beside checkpoints begin
            with its stem. Defaults to 'backbone.pth'.
    """

    # After EMAHook and CheckpointMetaHook have changed the checkpoint, and after a
    # CheckpointHook has saved it.
    priority = 'VERY_LOW'

    def __init__(self, filename: str = 'backbone.pth') -> None:
        self.filename = filename
        self._pending: dict | None = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the very weights that are about to be saved, until they are.

        Raises:
            CheckpointError: The model has no backbone.
        """
        state = {
            key: value
            for key, value in checkpoint['state_dict'].items()
            if key.startswith('backbone.')
        }
        if not state:
            raise CheckpointError(
                'ExportBackboneHook found no key under `backbone.` in the model '
                f'{type(runner.model).__name__}; remove the hook from custom_hooks, or name '
                "the model's backbone `backbone`."
            )
        meta = {
            key: checkpoint['meta'][key]
            for key in _META_KEYS
            if key in checkpoint['meta']
        }
        self._pending = dict(state_dict=state, meta=meta)

    def after_save_checkpoint(self, runner: Runner, path: str) -> None:
        """Write the backbone of a checkpoint that AtomicCheckpointHook has saved."""
        if self._pending is not None and '://' not in path:
            self._write(self._beside(path))
        self._export(runner)

    def after_remove_checkpoint(self, runner: Runner, path: str) -> None:
        """Remove the backbone of a checkpoint that is removed."""
        if '://' not in path:
            self._beside(path).unlink(missing_ok=True)

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Write ``backbone.pth`` of what another hook has saved in this iteration."""
        self._finish(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Write ``backbone.pth`` of what another hook has saved after this epoch."""
        self._finish(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Write ``backbone.pth`` of what another hook has saved as the best."""
        self._finish(runner)

    def _finish(self, runner: Runner) -> None:
        self._export(runner)
        self._pending = None

    def _export(self, runner: Runner) -> None:
        if self._pending is not None:
            self._write(Path(runner.work_dir) / self.filename)

    def _write(self, path: Path) -> None:
        with replace_file(path) as part:
            torch.save(self._pending, part)

    def _beside(self, path: str) -> Path:
        checkpoint, own = Path(path), Path(self.filename)
        return checkpoint.with_name(f'{own.stem}_{checkpoint.stem}{own.suffix}')

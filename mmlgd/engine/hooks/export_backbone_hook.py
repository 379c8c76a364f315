"""Export of the student's backbone with every checkpoint."""

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
    """Writes the backbone to a file of its own after a checkpoint is saved.

    ``backbone.pth`` in the work directory is the backbone of the latest checkpoint. Each
    checkpoint has its own file in the same folder: ``backbone_epoch_12.pth`` for
    ``epoch_12.pth``, ``backbone_best_NAME_epoch_8.pth`` for ``best_NAME_epoch_8.pth``. It
    is removed together with the checkpoint (``max_keep_ckpts``, a new best). mmengine's
    own ``CheckpointHook`` does not report saved checkpoints; with it, only
    ``backbone.pth`` is written.

    A file contains ``state_dict`` with the ``backbone.*`` keys and ``meta`` with the
    preprocessing, and loads with ``torch.load(weights_only=True)``. With an EMA hook it
    contains the averaged weights, as the checkpoint does.

    Args:
        filename (str): Name within the work directory; the names of the other files
            start with its stem. Defaults to 'backbone.pth'.
    """

    # After EMAHook and CheckpointMetaHook have changed the checkpoint, and after a
    # CheckpointHook has saved it.
    priority = 'VERY_LOW'

    def __init__(self, filename: str = 'backbone.pth') -> None:
        self.filename = filename
        self._pending: dict | None = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the weights of the checkpoint until it is saved.

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
            self._write(self._backbone_path(path))
        self._export(runner)

    def after_remove_checkpoint(self, runner: Runner, path: str) -> None:
        """Remove the backbone of a checkpoint that is removed."""
        if '://' not in path:
            self._backbone_path(path).unlink(missing_ok=True)

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Write ``backbone.pth`` for a checkpoint saved by another hook."""
        self._finish(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """See :meth:`after_train_iter`."""
        self._finish(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """See :meth:`after_train_iter`; for the best checkpoint."""
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

    def _backbone_path(self, path: str) -> Path:
        checkpoint, own = Path(path), Path(self.filename)
        return checkpoint.with_name(f'{own.stem}_{checkpoint.stem}{own.suffix}')

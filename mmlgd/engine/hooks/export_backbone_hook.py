"""Writes the student's backbone beside every checkpoint."""

from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlgd.errors import CheckpointError
from mmlgd.registry import HOOKS
from mmlgd.utils.atomic import replace_file
from mmlgd.utils.checkpoint import ORIGIN_KEYS

_META_KEYS = (*ORIGIN_KEYS, 'backbone', 'epoch', 'iter')


@HOOKS.register_module()
class ExportBackboneHook(Hook):
    """Writes ``backbone.pth`` whenever a checkpoint is saved.

    The file holds ``state_dict`` with the ``backbone.*`` keys and ``meta`` with
    the preprocessing, and loads with plain ``torch.load(weights_only=True)``.
    Under an EMA hook it holds the averaged weights, as the checkpoint does.

    Args:
        filename (str): Name within the work directory. Defaults to
            'backbone.pth'.
    """

    # After EMAHook and CheckpointMetaHook have changed the checkpoint.
    priority = 'VERY_LOW'

    def __init__(self, filename: str = 'backbone.pth') -> None:
        self.filename = filename

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Export from the very weights that are about to be saved.

        Raises:
            CheckpointError: The model has no backbone.
        """
        state = checkpoint['state_dict']
        state = {
            key: value for key, value in state.items() if key.startswith('backbone.')
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
        with replace_file(Path(runner.work_dir) / self.filename) as part:
            torch.save(dict(state_dict=state, meta=meta), part)

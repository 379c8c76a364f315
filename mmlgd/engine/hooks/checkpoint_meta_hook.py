"""Writes into every checkpoint what it needs to be used elsewhere."""

from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlgd.registry import HOOKS
from mmlgd.utils.model import unwrap_model


@HOOKS.register_module()
class CheckpointMetaHook(Hook):
    """Puts the model's ``checkpoint_meta`` into the checkpoint's ``meta``.

    So a checkpoint tells the teacher, the category names, the normalisation its
    student was trained under, and, as ``backbone``, the backbone's config.
    """

    priority = 'HIGH'

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the keys; see ARCHITECTURE of mmlgd for their list."""
        model = unwrap_model(runner.model)
        checkpoint['meta'].update(model.checkpoint_meta)
        backbone = runner.cfg.get('model', {}).get('backbone')
        if backbone is not None:
            checkpoint['meta']['backbone'] = ConfigDict(backbone).to_dict()

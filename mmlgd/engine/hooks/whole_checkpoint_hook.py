"""Stops a run that would use a part of a checkpoint as if it were the whole."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlgd.registry import HOOKS
from mmlgd.utils.checkpoint import check_complete
from mmlgd.utils.mmengine_private import is_resuming, is_training, loaded_source


@HOOKS.register_module()
class WholeCheckpointHook(Hook):
    """Refuses to test, or to resume from, a checkpoint without all of the model.

    mmengine loads what fits, and only logs the rest. The command line registers this
    hook for every config.
    """

    priority = 'HIGH'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the checkpoint with the model.

        Raises:
            CheckpointError: Weights of the model are missing, as those of the projector
                in ``backbone.pth``, or have other shapes.
        """
        if is_resuming(runner) or not is_training(runner):
            source = loaded_source(runner) or 'The latest checkpoint'
            check_complete(runner.model, checkpoint, source)

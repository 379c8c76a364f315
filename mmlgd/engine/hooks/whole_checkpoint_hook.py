"""Check that a loaded checkpoint is complete."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlgd.registry import HOOKS
from mmlgd.utils.checkpoint import check_complete
from mmlgd.utils.mmengine_private import is_resuming, is_training, loaded_source


@HOOKS.register_module()
class WholeCheckpointHook(Hook):
    """Refuses to test or resume a checkpoint that does not contain the whole model.

    mmengine loads matching keys and only logs the others. The command line registers
    this hook for every config.
    """

    priority = 'HIGH'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the checkpoint with the model.

        Raises:
            CheckpointError: Weights of the model are missing (those of the projector in
                ``backbone.pth``, for example) or have other shapes.
        """
        if is_resuming(runner) or not is_training(runner):
            source = loaded_source(runner) or 'The latest checkpoint'
            check_complete(runner.model, checkpoint, source)

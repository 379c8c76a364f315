"""mmpretrain's drawing of predictions, with red where red was."""

from collections.abc import Sequence

from mmengine.runner import Runner
from mmpretrain.engine.hooks import VisualizationHook
from mmpretrain.structures import DataSample

from mmlgd.registry import HOOKS


@HOOKS.register_module()
class TrueColorVisualizationHook(VisualizationHook):
    """Draw classification results on images in their own colours.

    mmcv reads images as BGR and mmpretrain's hook hands them, as they leave the
    dataset, to a visualizer that takes RGB, so that red and blue change places in
    its pictures. This one turns the channels first.

    Args:
        *args, **kwargs: Arguments of mmpretrain's hook.
    """

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[DataSample],
    ) -> None:
        """Draw samples of a validation batch; ``inputs`` are (3, H, W) uint8 BGR."""
        super().after_val_iter(runner, batch_idx, self._to_rgb(data_batch), outputs)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[DataSample],
    ) -> None:
        """Draw samples of a test batch; ``inputs`` are (3, H, W) uint8 BGR."""
        super().after_test_iter(runner, batch_idx, self._to_rgb(data_batch), outputs)

    def _to_rgb(self, data_batch: dict) -> dict:
        if not self.enable:
            return data_batch
        return {
            **data_batch,
            'inputs': [image.flip(0) for image in data_batch['inputs']],
        }

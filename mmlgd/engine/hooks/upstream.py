"""Workarounds for faults in other libraries.

Each class documents the function with the fault and the affected releases. It can be
removed when a later release fixes the fault.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from types import ModuleType

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.engine.hooks import VisualizationHook
from mmpretrain.structures import DataSample

from mmlgd.registry import HOOKS
from mmlgd.utils.checks import check_count


@HOOKS.register_module()
class ShortHistoryHook(Hook):
    """Keeps the latest values of each logged scalar, in memory and in checkpoints.

    Fault: ``mmengine.logging.HistoryBuffer.update`` copies the whole history, up to a
    million values, for each scalar in every step: milliseconds per step after 100,000
    iterations, and megabytes in every checkpoint. Seen in onedl-mmengine 0.10.12, the
    latest release, and in mmengine up to 0.10.7.

    Logged values are averaged over the window of the log
    (``log_processor.window_size``, at most an epoch) and do not change.

    Args:
        length (int): Values kept, at least 1. Longer windows are truncated, so it must
            exceed the iterations per epoch if values are averaged over epochs. Defaults
            to 10000.

    Raises:
        ConfigError: The length is not an integer above 0.
    """

    def __init__(self, length: int = 10000) -> None:
        self.length = check_count('ShortHistoryHook.length', length, 1)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Limit the history of every scalar; the oldest values are dropped.

        Args:
            runner (Runner): Its message hub contains the scalars, including those of a
                resumed checkpoint.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: Unused.
        """
        for history in runner.message_hub.log_scalars.values():
            history.max_length = self.length


@HOOKS.register_module()
class TrueColorVisualizationHook(VisualizationHook):
    """Draws classification results on images with the right colours.

    Fault: ``mmpretrain.engine.hooks.VisualizationHook._draw_samples`` passes images in
    mmcv's BGR order to a visualizer that expects RGB, so red and blue are swapped in the
    output. Seen in onedl-mmpretrain 1.3.6, the latest release, and in mmpretrain up to
    1.2.0.

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


@HOOKS.register_module()
class LVISNumpyHook(Hook):
    """Makes the package lvis work with numpy 1.24 and later.

    Fault: ``lvis.eval.LVISEval.accumulate`` uses ``np.float``, which numpy removed: the
    error would occur after the first epoch of a training. Seen in lvis 0.5.3, the
    latest release.
    """

    def before_run(self, runner: Runner) -> None:
        """Give lvis a copy of the numpy namespace with the name; numpy is not changed."""
        # Without lvis, mmdet raises when it builds the dataset, before training.
        if find_spec('lvis') is None or hasattr(np, 'float'):
            return
        import lvis.eval

        namespace = ModuleType('numpy')
        namespace.__dict__.update(np.__dict__)
        namespace.__dict__['float'] = float
        lvis.eval.np = namespace

"""Workarounds of faults in other libraries, all of them.

Each class says which function has the fault and the releases it was seen in; where a
later release has it no more, the class can go.
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
    million values, for each scalar in every step: milliseconds a step after 100,000
    iterations, and megabytes in every checkpoint. Seen in onedl-mmengine 0.10.12, the
    latest release, and in mmengine up to 0.10.7.

    What is printed or written to files is averaged over the log's window
    (``log_processor.window_size``, an epoch at most) and stays the same.

    Args:
        length (int): Values kept, at least 1. A window beyond it is cut, so it is to
            be above the iterations of an epoch where something is averaged over
            epochs. Defaults to 10000.

    Raises:
        ConfigError: The length is no whole number above 0.
    """

    def __init__(self, length: int = 10000) -> None:
        self.length = check_count('ShortHistoryHook.length', length, 1)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Bound every scalar's history: each drops the oldest values as it grows.

        Args:
            runner (Runner): Its message hub holds the scalars, those of a resumed
                checkpoint included.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: Unused.
        """
        for history in runner.message_hub.log_scalars.values():
            history.max_length = self.length


@HOOKS.register_module()
class TrueColorVisualizationHook(VisualizationHook):
    """Draws classification results on images in their own colours.

    Fault: ``mmpretrain.engine.hooks.VisualizationHook._draw_samples`` hands images as
    mmcv reads them, BGR, to a visualizer that takes RGB, so that red and blue change
    places in its pictures. Seen in onedl-mmpretrain 1.3.6, the latest release, and in
    mmpretrain up to 1.2.0.

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
    """Lets the package lvis evaluate under numpy 1.24 and later.

    Fault: ``lvis.eval.LVISEval.accumulate`` reads ``np.float``, which numpy dropped:
    the error would come after the first epoch of a training. Seen in lvis 0.5.3, the
    last release.
    """

    def before_run(self, runner: Runner) -> None:
        """Give lvis a numpy with the name; numpy itself stays as others expect it."""
        # Without lvis, mmdet says so when it builds the dataset, before training.
        if find_spec('lvis') is None or hasattr(np, 'float'):
            return
        import lvis.eval

        namespace = ModuleType('numpy')
        namespace.__dict__.update(np.__dict__)
        namespace.__dict__['float'] = float
        lvis.eval.np = namespace

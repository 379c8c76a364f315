"""List of the images that did not load."""

import os.path as osp

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook

from mmlgd.registry import HOOKS
from mmlgd.utils.atomic import write_atomically
from mmlgd.utils.printable import printable


@HOOKS.register_module()
class BrokenImagesHook(Hook):
    """Counts and lists the broken images of all ranks and workers.

    Works with datasets that record them (:class:`~mmlgd.datasets.UnlabeledImages`),
    also inside wrappers that keep them as ``dataset``; other datasets are ignored. The
    paths are written to ``broken_images.txt`` in the work folder, one per line, with
    unprintable characters escaped, and their number is logged. Both happen when there
    are new ones, at the latest at the end of training.

    Args:
        interval: Iterations between two checks, in addition to the end of each epoch;
            each check is one small collective. Defaults to 1000.

    Raises:
        DataError: The ranks together found more than the dataset allows.
    """

    def __init__(self, interval: int = 1000) -> None:
        self.interval = interval
        self._reported = 0

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Check every ``interval`` iterations."""
        if self.every_n_train_iters(runner, self.interval):
            self._report(runner)

    def after_train_epoch(self, runner) -> None:
        """Check at the end of an epoch, or of an iteration-based training."""
        self._report(runner)

    def _report(self, runner) -> None:
        dataset = _find_recording_dataset(runner.train_dataloader.dataset)
        if dataset is None:
            return
        ranks = all_gather_object(dataset.broken.indices())
        broken = np.unique(np.concatenate(ranks))
        count = len(broken)
        if is_main_process() and count > self._reported:
            path = osp.join(runner.work_dir, 'broken_images.txt')
            lines = (f'{printable(one)}\n' for one in dataset.broken_paths(broken))
            write_atomically(path, ''.join(lines))
            runner.logger.warning(
                f'{count} of {len(dataset)} images did not load so far and were '
                f'replaced by others; they are listed in {path}'
            )
        self._reported = count
        dataset.check_broken(broken)


def _find_recording_dataset(dataset):
    while dataset is not None and not hasattr(dataset, 'broken'):
        dataset = getattr(dataset, 'dataset', None)
    return dataset

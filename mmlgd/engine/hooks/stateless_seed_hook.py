"""Dropout and drop-path that a resumed run repeats."""

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from mmlgd.registry import HOOKS
from mmlgd.utils.rng import mix_seed, seed_cpu


@HOOKS.register_module()
class StatelessSeedHook(Hook):
    """Seeds the global generators from (seed, rank, iteration) before each step.

    A checkpoint of mmengine holds no generator state. With this hook none is
    needed: what an iteration draws (dropout, drop-path, mixup on the device) depends
    on its number only. Together with :class:`~mmlgd.datasets.SeededViews` and
    :class:`~mmlgd.datasets.ViewSampler`, a resumed run on the CPU equals one that
    was never interrupted, bit by bit. The ranks draw different numbers.

    The seed is the Runner's (``randomness=dict(seed=...)``); a resumed run takes it
    from the checkpoint.
    """

    # First of all, so that what other hooks draw in the step is repeated as well.
    priority = 'VERY_HIGH'

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Seed Python, numpy, torch and the accelerators.

        Args:
            runner (Runner): Its ``seed`` and ``iter`` are used.
            batch_idx: Unused: it restarts in each epoch.
            data_batch: Unused.
        """
        seed = mix_seed(runner.seed, get_rank(), runner.iter)
        seed_cpu(seed)
        torch.manual_seed(seed)

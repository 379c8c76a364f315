"""Random numbers that are the same in a resumed run."""

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from mmlgd.registry import HOOKS
from mmlgd.utils.rng import mix_seed, seed_cpu


@HOOKS.register_module()
class StatelessSeedHook(Hook):
    """Seeds the global generators from (seed, rank, iteration) before each step.

    A checkpoint of mmengine contains no generator state. With this hook none is needed:
    the random numbers of an iteration (dropout, drop-path, mixup on the device) depend
    only on its index. Together with :class:`~mmlgd.datasets.SeededViews` and
    :class:`~mmlgd.datasets.ViewSampler`, a resumed run on the CPU is bitwise equal to an
    uninterrupted one. The ranks draw different numbers.

    The seed is the Runner's (``randomness=dict(seed=...)``); a resumed run reads it from
    the checkpoint.
    """

    # First, so that random numbers of other hooks in the step are repeated as well.
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

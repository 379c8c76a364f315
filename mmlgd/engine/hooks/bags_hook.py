"""The epoch for BINGO, and the check of its bag file."""

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlgd.datasets.dataset_wrapper import find_wrapper
from mmlgd.errors import ConfigError
from mmlgd.registry import HOOKS
from mmlgd.utils.model import unwrap_model


@HOOKS.register_module()
class BagsHook(Hook):
    """Compares the bags' teacher with the model's, and sets the model's epoch.

    An epoch is one pass over the data, also in an iteration-based loop. It is computed
    from the iteration, so it is the same in a resumed run.

    Raises:
        ConfigError: The model does not use the epoch.
        DataError: The bags were built with another teacher than the student's.
    """

    priority = 'NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Check the model, and the bag file if the training set has one."""
        model = unwrap_model(runner.model)
        if not hasattr(model, 'set_epoch'):
            raise ConfigError(
                f'BagsHook sets the epoch of BINGO, but the model is {type(model).__name__}; '
                'remove the hook from custom_hooks.'
            )
        dataset = find_wrapper(runner.train_dataloader.dataset, 'bags')
        if dataset is not None:
            dataset.bags.check_teacher(dataset.bags_path, model.teacher.identity)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Set the model's epoch, counted from 0."""
        loader = runner.train_dataloader
        batches = len(loader)
        if isinstance(loader.sampler, InfiniteSampler):
            # Its length is that of the whole dataset, not of the rank's share.
            batches //= get_world_size()
        # With an infinite sampler, a pass may be shorter than a batch.
        unwrap_model(runner.model).set_epoch(runner.iter // max(1, batches))

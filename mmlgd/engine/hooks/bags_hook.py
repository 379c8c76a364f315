"""What BINGO has to know of its run: whose bags, and which epoch."""

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
    """Compares the bags' teacher with the model's, and tells the model the epoch.

    An epoch is one pass over the data, also where the loop counts iterations: it
    follows from the number of the iteration, so a resumed run has the same.

    Raises:
        ConfigError: The model has no use for the epoch.
        DataError: The bags were made by another teacher than the student's.
    """

    priority = 'NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Check the model, and the bag file, where the training set has one."""
        model = unwrap_model(runner.model)
        if not hasattr(model, 'set_epoch'):
            raise ConfigError(
                f'BagsHook tells BINGO the epoch, but the model is {type(model).__name__}; '
                'take the hook out of custom_hooks.'
            )
        dataset = find_wrapper(runner.train_dataloader.dataset, 'bags')
        if dataset is not None:
            dataset.bags.check_teacher(dataset.bags_path, model.teacher.identity)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Tell the model the epoch, counted from 0."""
        loader = runner.train_dataloader
        batches = len(loader)
        if isinstance(loader.sampler, InfiniteSampler):
            # Its length is the whole dataset's, not that of the rank's share.
            batches //= get_world_size()
        # No whole batch in a pass: possible where passes go on without end.
        unwrap_model(runner.model).set_epoch(runner.iter // max(1, batches))

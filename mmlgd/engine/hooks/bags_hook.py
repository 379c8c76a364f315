"""What BINGO has to know of its run: whose bags, and which epoch."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlgd.datasets.dataset_wrapper import find_wrapper
from mmlgd.registry import HOOKS
from mmlgd.utils.model import unwrap_model


@HOOKS.register_module()
class BagsHook(Hook):
    """Compares the bags' teacher with the model's, and tells the model the epoch.

    An epoch is one pass over the data, also where the loop counts iterations: it
    follows from the number of the iteration, so a resumed run has the same.

    Raises:
        DataError: The bags were made by another teacher than the student's.
    """

    priority = 'NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Check the bag file, where the training set has one."""
        dataset = find_wrapper(runner.train_dataloader.dataset, 'bags')
        if dataset is not None:
            identity = unwrap_model(runner.model).teacher.identity
            dataset.bags.check_teacher(dataset.bags_path, identity)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Set the model's ``epoch``, counted from 0."""
        # No whole batch in a pass: possible where passes go on without end.
        batches = max(1, len(runner.train_dataloader))
        unwrap_model(runner.model).epoch = runner.iter // batches

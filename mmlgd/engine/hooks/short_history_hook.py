"""A log whose cost does not grow with the run."""

from mmengine.hooks import Hook

from mmlgd.registry import HOOKS
from mmlgd.utils.checks import check_count


@HOOKS.register_module()
class ShortHistoryHook(Hook):
    """Keeps the latest values of each logged scalar, in memory and in checkpoints.

    mmengine keeps up to a million and copies all of them in every step for each
    scalar: milliseconds a step after 100,000 iterations, and megabytes in every
    checkpoint. What is printed or written to files is averaged over the log's window
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
        self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None
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

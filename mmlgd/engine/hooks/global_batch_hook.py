"""The same global batch with any number of ranks."""

from functools import partial

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner

from mmlgd.engine.step_in_parts import StepInParts, collate_parts
from mmlgd.errors import ConfigError
from mmlgd.utils.global_batch import KEY, GlobalBatch
from mmlgd.utils.model import unwrap_model
from mmlgd.utils.step_parts import share


class GlobalBatchHook(Hook):
    """Records the global batch in checkpoints, and computes it in parts if necessary.

    An iteration has the same images with any number of ranks. Iterations, epochs,
    schedules and the intervals of hooks are thus unaffected by that number. If a rank's
    share is larger than what it may compute at once, or shares differ by one image, the
    step is taken by :class:`~mmlgd.engine.step_in_parts.StepInParts`. The hooks of an
    iteration then get a list of pairs as ``data_batch``, each with the number of images
    and the batch of a part.

    ``mmlgd train`` adds it to every config for which it sets up the data loader.

    Args:
        batch (GlobalBatch): Global batch, as the data loader was set up for.

    Raises:
        ConfigError: The method or the optimizer does not support parts or unequal
            shares.
    """

    # After the hooks that read batches of the data loader before the training, and before
    # PrefetchHook, which wraps the loader or its iterator.
    priority = 95

    def __init__(self, batch: GlobalBatch) -> None:
        self.batch = batch
        self._step: StepInParts | None = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Record the global batch."""
        checkpoint['meta'][KEY] = self.batch.as_meta()

    def before_train(self, runner: Runner) -> None:
        """Prepare the model and the data loader for parts."""
        loader = runner.train_dataloader
        largest = share(self.batch.size, 0, get_world_size())
        number = -(-largest // self.batch.part)
        is_uneven = getattr(loader.sampler, 'global_batch_size', None) is not None
        if number == 1 and not is_uneven:
            return
        self._check(runner, number)
        size = -(-largest // number)
        self._step = StepInParts(runner.model.train_step, size)
        runner.model.train_step = self._step
        loader.collate_fn = partial(collate_parts, collate=loader.collate_fn, size=size)
        loop = runner.train_loop
        if hasattr(loop, 'dataloader_iterator'):
            # That of the original mmengine has already started its workers.
            loop.dataloader_iterator = type(loop.dataloader_iterator)(loop.dataloader)
        parts = f', in {number} parts of at most {size}' if number > 1 else ''
        runner.logger.info(
            f'The global batch of {self.batch.size} images is split over '
            f'{get_world_size()} rank(s): at most {largest} each{parts}.'
        )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None
    ) -> None:
        """Set the number of images, which is smaller at the end of a pass."""
        sampler = runner.train_dataloader.sampler
        if self._step and getattr(sampler, 'global_batch_size', None) is not None:
            # Over all epochs, unlike `batch_idx`.
            self._step.total = sampler.images_in(runner.iter)

    def _check(self, runner: Runner, number: int) -> None:
        if isinstance(runner.optim_wrapper, OptimWrapperDict):
            raise ConfigError(
                f'A global batch of {self.batch.size} images on {get_world_size()} '
                'rank(s) needs shares of different size or in parts, which a model with '
                'several optimizers does not support; set --global-batch-size to a '
                'multiple of the ranks, and --micro-batch-size to its share.'
            )
        model = unwrap_model(runner.model)
        if number > 1 and getattr(model, 'needs_whole_batch', False):
            largest = share(self.batch.size, 0, get_world_size())
            raise ConfigError(
                f'The loss of {type(model).__name__} depends on all images of a batch, '
                f'so a share of {largest} images cannot be computed in parts of '
                f'{self.batch.part}. If they fit in memory, set --micro-batch-size '
                f'{largest}; otherwise use more ranks.'
            )

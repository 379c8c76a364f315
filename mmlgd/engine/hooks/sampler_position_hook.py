"""The data position of a resumed run, for any number of processes."""

from mmengine.dist import get_world_size
from mmengine.hooks import Hook

from mmlgd.datasets import ViewSampler
from mmlgd.errors import CheckpointError
from mmlgd.registry import HOOKS

#: Key in a checkpoint's ``meta``: number of images drawn by all ranks together.
KEY = 'samples_seen'


@HOOKS.register_module()
class SamplerPositionHook(Hook):
    """Resumes an iteration-based training at the image where it stopped.

    mmengine multiplies the completed iterations by the batch size and number of ranks of
    the resumed run. If these changed, images would be skipped or repeated. This hook
    saves the number of images in ``meta['samples_seen']`` of checkpoints, and sets
    :attr:`ViewSampler.origin <mmlgd.datasets.ViewSampler>` of a resumed run accordingly.
    An interrupted run thus draws the same images, equally often, as an uninterrupted one.

    It supports an infinite :class:`~mmlgd.datasets.ViewSampler`. In a training by epochs,
    the position does not depend on these sizes. For other samplers, the hook warns if the
    sizes changed.

    Raises:
        CheckpointError: ``samples_seen`` of a checkpoint is not a non-negative integer.
    """

    def __init__(self) -> None:
        self._loaded: int | None = None

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Save the number of images drawn in the completed iterations."""
        batch = _images_per_iter(runner)
        if batch:
            origin = getattr(runner.train_dataloader.sampler, 'origin', 0)
            done = checkpoint['meta']['iter']
            checkpoint['meta'][KEY] = origin + done * batch

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep the number of images; whether the run is resumed is not known yet."""
        self._loaded = (checkpoint.get('meta') or {}).get(KEY)
        if self._loaded is not None and (
            not isinstance(self._loaded, int) or self._loaded < 0
        ):
            raise CheckpointError(
                f"meta['{KEY}'] of the checkpoint is {self._loaded!r}, but must be a "
                'number of images. The file is damaged; resume from another one.'
            )

    def before_train(self, runner) -> None:
        """Set the position of a resumed run."""
        batch = _images_per_iter(runner)
        if not batch or not runner.iter:
            return
        skipped = runner.iter * batch
        sampler = runner.train_dataloader.sampler
        if not isinstance(sampler, ViewSampler):
            if self._loaded not in (None, skipped):
                runner.logger.warning(
                    f'The checkpoint has seen {self._loaded} images, but '
                    f'{type(sampler).__name__} resumes at image {skipped}, because the '
                    'batch size or the number of processes changed: images are skipped '
                    'or repeated. Use ViewSampler(infinite=True).'
                )
        elif self._loaded is None:
            runner.logger.warning(
                'The checkpoint does not record how many images were seen (it is from '
                'mmlgd 0.1, or from a run without SamplerPositionHook). The run resumes '
                'as if batch size and number of processes were unchanged.'
            )
        else:
            loop = runner.train_loop
            # mmengine skips the completed iterations unless this is set.
            if getattr(loop, 'fast_forward_on_resume', False):
                skipped = 0
            sampler.origin = self._loaded - skipped
            # The loop of the original mmengine has already drawn indices for its
            # workers, from the previous origin.
            loop.dataloader_iterator = type(loop.dataloader_iterator)(loop.dataloader)


def _images_per_iter(runner) -> int:
    """Images that all ranks draw per iteration; 0 for epoch-based loops and samplers."""
    if not hasattr(runner.train_loop, 'dataloader_iterator'):
        return 0
    loader = runner.train_dataloader
    if isinstance(loader.sampler, ViewSampler) and not loader.sampler.infinite:
        return 0
    whole = getattr(loader.sampler, 'global_batch_size', None)
    return whole or (loader.batch_size or 0) * get_world_size()

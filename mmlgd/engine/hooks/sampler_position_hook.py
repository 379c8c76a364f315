"""The position in the data of a resumed run, whatever its number of processes."""

from mmengine.dist import get_world_size
from mmengine.hooks import Hook

from mmlgd.datasets import ViewSampler
from mmlgd.errors import CheckpointError
from mmlgd.registry import HOOKS

#: Key in a checkpoint's ``meta``: how many images all ranks together have drawn.
KEY = 'samples_seen'


@HOOKS.register_module()
class SamplerPositionHook(Hook):
    """Resumes an iteration-based training at the image where it stopped.

    mmengine multiplies the iterations done with the batch size and number of ranks of
    the resumed run. When these changed, images would be left out or repeated. This hook
    saves the number of images in ``meta['samples_seen']`` of checkpoints, and sets
    :attr:`ViewSampler.origin <mmlgd.datasets.ViewSampler>` of a resumed run by it. So
    an interrupted run draws the images of an uninterrupted one, each as often.

    It acts on an infinite :class:`~mmlgd.datasets.ViewSampler`. Epoch-based trainings
    start again at an epoch's first image, which depends on no size. For other samplers
    it warns where the sizes changed.

    Raises:
        CheckpointError: ``samples_seen`` of a checkpoint is not a whole number.
    """

    def __init__(self) -> None:
        self._loaded: int | None = None

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Save the number of images that are drawn in the iterations done."""
        batch = _images_an_iteration(runner)
        if batch:
            origin = getattr(runner.train_dataloader.sampler, 'origin', 0)
            done = checkpoint['meta']['iter']
            checkpoint['meta'][KEY] = origin + done * batch

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Note the number of images; whether the run is resumed is not known yet."""
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
        batch = _images_an_iteration(runner)
        if not batch or not runner.iter:
            return
        skipped = runner.iter * batch
        sampler = runner.train_dataloader.sampler
        if not isinstance(sampler, ViewSampler):
            if self._loaded not in (None, skipped):
                runner.logger.warning(
                    f'The checkpoint has seen {self._loaded} images, but '
                    f'{type(sampler).__name__} resumes at image {skipped}, because the '
                    'batch size or the number of processes changed: images are left '
                    'out or repeated. Use ViewSampler(infinite=True).'
                )
        elif self._loaded is None:
            runner.logger.warning(
                'The checkpoint does not record how many images were seen (it is of '
                'mmlgd 0.1, or of a run without SamplerPositionHook). The run resumes '
                'as if batch size and number of processes were unchanged.'
            )
        else:
            loop = runner.train_loop
            # mmengine skips the iterations done, unless it is told not to.
            if getattr(loop, 'fast_forward_on_resume', False):
                skipped = 0
            sampler.origin = self._loaded - skipped
            # The loop of OpenMMLab's own mmengine has drawn indices for its workers
            # already, from the origin before.
            loop.dataloader_iterator = type(loop.dataloader_iterator)(loop.dataloader)


def _images_an_iteration(runner) -> int:
    """Images that all ranks draw in an iteration; 0 where the epochs are counted."""
    if not hasattr(runner.train_loop, 'dataloader_iterator'):
        return 0
    loader = runner.train_dataloader
    if isinstance(loader.sampler, ViewSampler) and not loader.sampler.infinite:
        return 0
    return (loader.batch_size or 0) * get_world_size()

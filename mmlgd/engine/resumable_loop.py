"""A loop by epochs that can be resumed within an epoch."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader, Sampler

from mmlgd.registry import LOOPS

#: Info in the message hub, and thus in a checkpoint that was saved within an epoch:
#: completed batches of the epoch.
EPOCH_BATCHES = 'epoch_batches'


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """mmengine's loop by epochs, which continues an epoch after its last saved batch.

    mmengine would repeat the whole epoch. :class:`TrainRunner` uses this loop for every
    training by epoch, so configs need not name it.

    The batches before it are not loaded: only their indices are drawn, which depend
    on the seed and the epoch in any sampler of the libraries.
    """

    _first_batch = 0

    def run(self) -> nn.Module:
        """Train; a run that resumes within an epoch completes that epoch first."""
        batches = self.runner.message_hub.pop_info(EPOCH_BATCHES, 0)
        start = self._epoch * len(self.dataloader)
        if batches and self.iter == start + batches:
            self._first_batch = batches
        elif batches:
            self.runner.logger.warning(
                f'The checkpoint was saved after {batches} batches of an epoch, but an '
                'epoch has another number of batches now (the global batch or the data '
                'changed): this epoch starts again, so its first images are repeated.'
            )
            self._iter = start
        return super().run()

    def run_epoch(self) -> None:
        """Train on the batches of an epoch, or on the rest of a resumed one."""
        first, self._first_batch = self._first_batch, 0
        if not first:
            super().run_epoch()
            return
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        if first < len(self.dataloader):
            rest = rest_of_epoch(self.dataloader, first)
            for index, batch in enumerate(rest, first):
                self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


def is_resumable(runner: Runner) -> bool:
    """Whether the training of a runner can be resumed after any iteration."""
    loop = runner.train_loop
    return isinstance(loop, ResumableEpochLoop) or not isinstance(
        loop, EpochBasedTrainLoop
    )


def batches_of_epoch(runner: Runner, done: int) -> int:
    """Completed batches of the running epoch; 0 between epochs and without epochs.

    Args:
        runner: A runner in training.
        done: Number of completed iterations.
    """
    loop = runner.train_loop
    if not isinstance(loop, EpochBasedTrainLoop):
        return 0
    return done - loop.epoch * len(loop.dataloader)


class _Rest(Sampler):
    """The items of a sampler without the first ones."""

    def __init__(self, sampler: Any, first: int) -> None:
        self.sampler, self.first = sampler, first

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self.sampler), self.first, None)

    def __len__(self) -> int:
        return len(self.sampler) - self.first


def rest_of_epoch(loader: DataLoader, first: int) -> DataLoader:
    """A loader like ``loader`` that starts at batch ``first``; no batch is loaded yet."""
    return DataLoader(
        loader.dataset,
        batch_sampler=_Rest(loader.batch_sampler, first),
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
    )

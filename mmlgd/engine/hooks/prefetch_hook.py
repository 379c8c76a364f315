"""Copies of the next batch while the device trains on the current one."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseDataPreprocessor
from mmengine.runner import Runner

from mmlgd.engine.prefetching import (
    BatchesAhead,
    LoaderAhead,
    SideStream,
    Start,
    keep_on_host,
)
from mmlgd.registry import HOOKS
from mmlgd.utils.model import unwrap_model


@HOOKS.register_module()
class PrefetchHook(Hook):
    """Draws training batches one step ahead, and copies them on a stream of their own.

    Batches and their order do not change: without worker processes, where images are
    loaded with the random numbers of the main process, nothing is drawn ahead. A resumed
    run starts at the first batch that was not trained on, since positions are counted in
    completed iterations. Data samples stay on the host until the step.

    Copies overlap only from pinned memory (``pin_memory=True`` of the data loader), and
    only if the data preprocessor copies without blocking, as
    :class:`~mmlgd.models.DistillDataPreprocessor` does.

    Args:
        cuda_only: Whether a model on a CPU, to which nothing is copied, trains without
            this. Defaults to True.
    """

    # After SamplerPositionHook and GlobalBatchHook, which renew the iterator.
    priority = 'LOWEST'

    def __init__(self, cuda_only: bool = True) -> None:
        self.cuda_only = cuda_only

    def before_train(self, runner: Runner) -> None:
        """Wrap the data loader of the training loop, or its iterator."""
        loop, loader = runner.train_loop, runner.train_dataloader
        preprocessor = unwrap_model(runner.model).data_preprocessor
        device = torch.device(preprocessor.device)
        on_cuda = device.type == 'cuda'
        if (self.cuda_only and not on_cuda) or not loader.num_workers:
            return
        if on_cuda and not loader.pin_memory:
            runner.logger.warning(
                'PrefetchHook: copies to the device wait for each other, because '
                'train_dataloader.pin_memory is not set; set it to True.'
            )
        start: Start = keep_on_host
        if on_cuda:
            start = SideStream(device, partial(_cast, preprocessor)).start
        if hasattr(loop, 'dataloader_iterator'):
            loop.dataloader_iterator = BatchesAhead(loop.dataloader_iterator, start)
        elif not isinstance(loader, LoaderAhead):
            loop.dataloader = LoaderAhead(loader, start)


def _cast(preprocessor: BaseDataPreprocessor, batch: Any) -> Any:
    if not isinstance(batch, Mapping):
        return preprocessor.cast_data(batch)
    return {
        key: value if key == 'data_samples' else preprocessor.cast_data(value)
        for key, value in batch.items()
    }

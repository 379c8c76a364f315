"""Runs of several gloo ranks that are killed, and resumed on another number of ranks.

Each rank is a process forked from a server that has imported everything, and calls
``mmlgd train``, as under torchrun.
"""

import multiprocessing
import os
import signal
from pathlib import Path

import mmcv.transforms  # noqa: F401  (registers its transforms)
import torch
from mmengine.hooks import Hook
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

import mmlgd.apis.stored_views  # noqa: F401  (only to import it in the server)
from mmlgd.cli import train
from mmlgd.datasets import SeededViews
from mmlgd.models import LGD
from mmlgd.registry import DATASETS, HOOKS, MODELS
from mmlgd.stores.dataset import StoredViews
from mmlgd.utils.ports import choose_port
from tests.runs import toy_run_cfg

#: Rank, iteration and stage of an iteration in which a rank kills itself.
_KILL = 'TEST_KILL_RANK'
_STAGES = ('before', 'forward', 'after')


class _Numbered:
    """Puts the index of the view and image into the data sample."""

    def __getitem__(self, index: int) -> dict:
        item = super().__getitem__(index)
        item['data_samples'].set_metainfo(dict(index=index))
        return item


@DATASETS.register_module(force=True)
class NumberedViews(_Numbered, SeededViews):
    pass


@DATASETS.register_module(force=True)
class NumberedStoredViews(_Numbered, StoredViews):
    pass


@MODELS.register_module(force=True)
class CountingLGD(LGD):
    """An LGD with one more parameter for each view of an image.

    Each step adds learning rate / images of all ranks to the parameters of its images.
    ``largest`` is the largest number of images in a forward pass.
    """

    def __init__(self, num_counts: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.counts = nn.Parameter(torch.zeros(num_counts))
        self.register_buffer('largest', torch.zeros(()))

    def loss(self, inputs, data_samples=None, teacher_embeddings=None):
        _kill_if_wanted('forward')
        losses = super().loss(inputs, data_samples, teacher_embeddings)
        self.largest.clamp_(min=len(inputs))
        index = torch.tensor([sample.index for sample in data_samples])
        return dict(losses, loss_counts=-self.counts[index].mean())


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(force=True)
class NoMomentumForCounts(DefaultOptimWrapperConstructor):
    def __call__(self, model):
        wrapper = super().__call__(model)
        counts = getattr(model, 'module', model).counts
        for group in wrapper.optimizer.param_groups:
            if any(parameter is counts for parameter in group['params']):
                group['momentum'] = 0
        return wrapper


_iteration = 0


def _kill_if_wanted(stage: str) -> None:
    if os.environ.get(_KILL) == f'{os.environ["RANK"]} {_iteration} {stage}':
        os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module(force=True)
class KillRankHook(Hook):
    priority = 'HIGHEST'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        global _iteration
        _iteration = runner.iter
        _kill_if_wanted('before')

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        _kill_if_wanted('after')


def write_config(
    path: Path,
    images: Path,
    num_images: int,
    batch_size: int,
    by_epoch: bool,
    store: Path | None = None,
    save_every: int = 2,
) -> Path:
    """A config of nine iterations, three epochs of three if by epoch."""
    cfg = toy_run_cfg(images, path.parent)
    cfg.custom_imports = dict(imports=['tests.resize_runs'])
    cfg.model.update(type='CountingLGD', num_counts=9 * num_images)
    cfg.train_dataloader.update(batch_size=batch_size, drop_last=False)
    cfg.train_dataloader.dataset.type = 'NumberedViews'
    if store is not None:
        cfg.model.teacher = dict(
            type='StoredTeacher', store=str(store), teacher=cfg.model.teacher
        )
        cfg.train_dataloader.dataset.update(
            type='NumberedStoredViews', store=str(store)
        )
    cfg.train_dataloader.sampler.infinite = not by_epoch
    cfg.train_cfg = (
        dict(by_epoch=True, max_epochs=3)
        if by_epoch
        else dict(by_epoch=False, max_iters=9)
    )
    # A rate of its own for each iteration.
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=9)
    ]
    if by_epoch:
        cfg.param_scheduler += [dict(type='ExponentialLR', gamma=0.5, by_epoch=True)]
    cfg.optim_wrapper = dict(
        constructor='NoMomentumForCounts',
        optimizer=dict(type='SGD', lr=0.1, momentum=0.9),
        paramwise_cfg=dict(custom_keys=dict(counts=dict(lr_mult=1.0))),
    )
    cfg.default_hooks.checkpoint.update(
        by_epoch=by_epoch and save_every == 0, interval=save_every or 1
    )
    cfg.log_processor = dict(by_epoch=by_epoch)
    # Of any run, not only of the tools.
    cfg.custom_hooks = [
        dict(type='CheckpointMetaHook'),
        dict(type='NonFiniteLossHook'),
        dict(type='StatelessSeedHook'),
        dict(type='SamplerPositionHook'),
        dict(type='KillRankHook'),
    ]
    for name in ('val_dataloader', 'val_evaluator', 'val_cfg'):
        cfg[name] = None
    cfg.dump(path)
    return path


def _train(rank: int, variables: dict, argv: list[str]) -> None:
    torch.set_num_threads(1)
    os.environ.update(variables, RANK=str(rank), LOCAL_RANK=str(rank))
    # Errors of ranks that lose another one are expected.
    log = os.open(f'{argv[2]}.{rank}.log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    train.main(argv)


def run_ranks(
    config: Path,
    work_dir: Path,
    num_ranks: int,
    *options: str,
    kill: tuple[int, int, str] | None = None,
) -> list[int]:
    """Train until all ranks have finished or one of them has died.

    Args:
        config: From :func:`write_config`.
        work_dir: Of the run.
        num_ranks: Number of processes.
        *options: Further options of ``mmlgd train``.
        kill: Rank, iteration and stage (before, forward, after) of a SIGKILL.

    Returns:
        list[int]: Their exit codes. Others than the killed rank may fail or be ended.
    """
    variables = dict(
        WORLD_SIZE=str(num_ranks),
        LOCAL_WORLD_SIZE=str(num_ranks),
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(choose_port()),
    )
    if kill is not None:
        variables[_KILL] = '{} {} {}'.format(*kill)
    work_dir.mkdir(exist_ok=True)
    argv = [str(config), '--work-dir', str(work_dir), '--launcher', 'pytorch']
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mmlgd.cli.train', __name__])
    ranks = [
        context.Process(target=_train, args=(rank, variables, [*argv, *options]))
        for rank in range(num_ranks)
    ]
    try:
        for rank in ranks:
            rank.start()
        waited = ranks if kill is None else [ranks[kill[0]]]
        for rank in waited:
            rank.join()
    finally:
        # Ranks wait for one that died, or fail; torchrun ends them.
        for rank in ranks:
            if rank.pid is not None:
                rank.kill()
                rank.join()
    return [rank.exitcode for rank in ranks]


def load_final(work_dir: Path) -> dict:
    """The last checkpoint of a run."""
    path = (work_dir / 'last_checkpoint').read_text()
    return torch.load(path, weights_only=True)


def logs(work_dir: Path) -> str:
    """What all ranks printed."""
    paths = sorted(work_dir.parent.glob(f'{work_dir.name}.*.log'))
    return ''.join(path.read_text() for path in paths)

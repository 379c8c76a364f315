"""A short summary of the run on the terminal."""

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mmlgd.engine.amp_optim_wrapper import has_native_bfloat16
from mmlgd.registry import HOOKS
from mmlgd.utils.dataset_configs import innermost_datasets
from mmlgd.utils.model import unwrap_model
from mmlgd.utils.quiet import open_terminal


@HOOKS.register_module()
class StartupHook(Hook):
    """Logs a summary of the run; from then on, the log is shown on the terminal.

    The config, the environment and the table of hooks are in the log file.
    """

    # After the hooks that prepare banks or resume, so that their results are known.
    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Summarise a training."""
        self._report(runner, _training(runner))

    def before_test(self, runner: Runner) -> None:
        """Summarise a test."""
        model = unwrap_model(runner.model)
        self._report(runner, _test(runner, model))

    def _report(self, runner: Runner, rows: Iterator[tuple[str, Any]]) -> None:
        for name, value in rows:
            runner.logger.info(f'{name:<11}{value}', extra=dict(summary=True))
        open_terminal(runner.logger)


def _training(runner: Runner) -> Iterator[tuple[str, Any]]:
    model = unwrap_model(runner.model)
    loader = runner.train_dataloader
    yield 'images', _images(loader.dataset)
    if runner.val_loop is not None:
        yield 'validation', _images(runner.val_dataloader.dataset)
    yield from _model(model)
    epochs, batches = runner.max_epochs, len(loader)
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        yield 'steps', f'{batches} an epoch, {epochs} epochs, {runner.max_iters} in all'
    else:
        yield 'steps', f'{runner.max_iters} in all'
    yield 'batch', _batch(loader, runner)
    yield 'precision', _precision(runner.optim_wrapper)
    yield 'device', _device()
    yield 'start', _start(runner)
    yield 'output', f'{runner.work_dir}; log and config in {runner.timestamp}/'


def _test(runner: Runner, model: nn.Module) -> Iterator[tuple[str, Any]]:
    yield 'images', _images(runner.test_dataloader.dataset)
    yield from _model(model)
    yield 'checkpoint', runner.cfg.get('load_from')
    yield 'device', _device()
    yield 'output', f'{runner.work_dir}; log and config in {runner.timestamp}/'


def _model(model: nn.Module) -> Iterator[tuple[str, Any]]:
    names = getattr(getattr(model, 'textual_bank', None), 'category_names', None)
    if names:
        more = ', ...' if len(names) > 3 else ''
        yield 'names', f'{len(names)}: {", ".join(names[:3])}{more}'
    teacher = getattr(model, 'teacher', None)
    if teacher is not None:
        yield 'teacher', getattr(teacher, 'identity', type(teacher).__name__)
    backbone = getattr(model, 'backbone', None)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    parts = [type(part).__name__ for part in (backbone, model) if part is not None]
    name = 'model' if teacher is None else 'student'
    yield name, f'{", ".join(parts)}, {trained:,} parameters trained'


def _images(dataset: Any) -> str:
    parts = innermost_datasets(dataset)
    roots = [str(part.data_root) for part in parts if getattr(part, 'data_root', None)]
    place = f' in {", ".join(roots)}' if roots else ''
    return f'{len(dataset)}{place} ({type(parts[0]).__name__})'


def _batch(loader: DataLoader, runner: Runner) -> str:
    size, ranks = loader.batch_size, get_world_size()
    whole = getattr(loader.sampler, 'global_batch_size', None)
    steps = (runner.cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
    text = f'{size} images'
    if ranks > 1:
        about = ' or one less' if whole and whole % ranks else ''
        text = f'{whole or size * ranks} images: {size}{about} on each of {ranks} ranks'
    return text + (f', {steps} batches accumulated' if steps > 1 else '')


def _precision(wrapper: Any) -> str:
    """The precision of the training, and why."""
    if not isinstance(wrapper, AmpOptimWrapper):
        return 'float32, as optim_wrapper is not of mixed precision'
    dtype = getattr(wrapper, 'cast_dtype', None) or torch.float16
    if dtype == torch.float32:
        is_set = has_native_bfloat16()
        return f'float32, {"as set" if is_set else "as this CPU has no bfloat16"}'
    if dtype == torch.bfloat16:
        return 'mixed with bfloat16, which needs no loss scaling'
    return 'mixed with float16 and loss scaling'


def _device() -> str:
    device = get_device()
    if device == 'cuda':
        return f'cuda ({torch.cuda.get_device_name()})'
    return (
        f'{device} ({torch.get_num_threads()} threads)' if device == 'cpu' else device
    )


def _start(runner: Runner) -> str:
    path = runner.cfg.get('load_from')
    if runner.iter:
        return (
            f'resumed from {path} after epoch {runner.epoch}, iteration {runner.iter}'
        )
    return f'new run, weights from {path}' if path else 'new run'

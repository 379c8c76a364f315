"""An estimate of time, memory and disk of a run, from a few steps on a throw-away model."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.registry import FUNCTIONS, init_default_scope
from torch import nn

from mmlgd.datasets.category_names import load_templates
from mmlgd.errors import ConfigError
from mmlgd.registry import DATASETS, MODELS

_STEPS = 4
_PROMPTS = 16
# Seconds after which no further step is timed.
_PATIENCE = 20


@dataclass(frozen=True)
class Estimate:
    """What a run is likely to cost.

    Attributes:
        seconds (float): Of the whole run.
        seconds_per_step (float): Loading and computing, as far as they overlap.
        seconds_loading (float): Loading of one batch by all workers.
        seconds_text (float): Encoding of all prompts, once.
        disk (int): Bytes of the checkpoints that are kept.
        memory (int): Peak bytes on the GPU; 0 on a CPU.
        device (str): Device of the measurement.
    """

    seconds: float
    seconds_per_step: float
    seconds_loading: float
    seconds_text: float
    disk: int
    memory: int
    device: str

    def lines(self) -> Iterator[str]:
        """Lines for a person."""
        total = timedelta(seconds=round(self.seconds))
        slower = (
            'loading' if self.seconds_loading >= self.seconds_per_step else 'computing'
        )
        yield f'time          {total} on {self.device}, estimated'
        yield (
            f'a step        {self.seconds_per_step:.3f} s, limited by {slower}; names are '
            f'encoded once, {self.seconds_text:.0f} s'
        )
        yield f'disk          {self.disk / 2**20:.0f} MiB of checkpoints'
        if self.memory:
            yield f'GPU memory    {self.memory / 2**30:.1f} GiB at most'


def estimate(cfg: Config, steps: int) -> Estimate:
    """Time a few steps of a config on a model of its own; nothing is written.

    The first step is not counted. Steps of several devices are timed on one of them.

    Args:
        cfg (Config): Full config of a distillation with a textual bank.
        steps (int): Steps of the whole run.

    Raises:
        ConfigError: The batch does not fit the memory of the GPU.
    """
    init_default_scope(cfg.get('default_scope', 'mmlgd'))
    device = get_device()
    batch, loading = _load(cfg)
    model = MODELS.build(cfg.model)
    model.to(device)
    if device == 'cuda':
        model.to(memory_format=torch.channels_last)
        torch.cuda.reset_peak_memory_stats()
    text = _time_text(model)
    try:
        computing = _time_steps(model, cfg, batch, device)
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            f'{cfg.train_dataloader.batch_size} images per step do not fit the memory of '
            'the GPU; set a smaller batch_size.'
        ) from error
    # On a CPU the workers take the cores that compute.
    step = computing + loading if device == 'cpu' else max(computing, loading)
    return Estimate(
        seconds=step * steps + text,
        seconds_per_step=step,
        seconds_loading=loading,
        seconds_text=text,
        disk=_disk(model, cfg),
        memory=torch.cuda.max_memory_allocated() if device == 'cuda' else 0,
        device=device,
    )


def _load(cfg: Config) -> tuple[Any, float]:
    """A batch, and the seconds that the workers need for one."""
    loader = cfg.train_dataloader
    dataset = DATASETS.build(loader.dataset)
    collate = FUNCTIONS.get(loader.collate_fn['type'])
    start = time.perf_counter()
    items = []
    for index in itertools.islice(
        itertools.cycle(range(len(dataset))), loader.batch_size
    ):
        items.append(dataset[index])
        if time.perf_counter() - start > _PATIENCE:
            break
    seconds = (time.perf_counter() - start) / len(items) * loader.batch_size
    copies = itertools.islice(itertools.cycle(items), loader.batch_size)
    return collate(list(copies)), seconds / max(1, loader.num_workers)


@torch.no_grad()
def _time_text(model: nn.Module) -> float:
    """Seconds to encode all prompts; the bank gets random rows."""
    bank, teacher = model.textual_bank, model.teacher
    prompts = len(bank.category_names) * len(load_templates(bank.templates))
    texts = [f'a photo of a {name}.' for name in bank.category_names][:_PROMPTS]
    teacher.encode_text(texts[:1])  # loads the tokenizer
    start = time.perf_counter()
    teacher.encode_text(texts)
    seconds = (time.perf_counter() - start) / len(texts) * prompts
    bank.embeddings.copy_(nn.functional.normalize(torch.randn_like(bank.embeddings)))
    bank.built = True
    teacher.release_text_tower()
    return seconds


def _time_steps(model: nn.Module, cfg: Config, batch: Any, device: str) -> float:
    """Seconds of a training step, without loading."""
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    model.train()
    begin, start, count = time.perf_counter(), 0.0, 0
    for number in range(_STEPS + 1):
        if number == 1:
            start = time.perf_counter()
        model.train_step(batch, wrapper)
        if device == 'cuda':
            torch.cuda.synchronize()
        count = number
        if number and time.perf_counter() - begin > _PATIENCE:
            break
    return (time.perf_counter() - start) / count


def _disk(model: nn.Module, cfg: Config) -> int:
    """Bytes of the checkpoints and backbones that are kept."""
    state = model.state_dict()
    size = sum(value.nbytes for value in state.values())
    momentum = sum(each.nbytes for each in model.parameters() if each.requires_grad)
    backbone = sum(
        v.nbytes for name, v in state.items() if name.startswith('backbone.')
    )
    options = cfg.default_hooks.checkpoint
    saved = -(-cfg.train_cfg.max_epochs // options.interval)
    kept = min(saved, options.max_keep_ckpts)
    return kept * (size + momentum + backbone) + backbone

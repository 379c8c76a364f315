"""Rows on process groups: NCCL on GPUs, gloo on a CPU."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.multiprocessing as mp
from torch import distributed, nn

from benchmarks.gpu.outcome import Outcome, Setting, needs_gpu
from benchmarks.speed import scaling
from benchmarks.speed.train_case import case_of
from mmlgd.engine import AnyDeviceDDP
from mmlgd.utils.ports import choose_port

EFFICIENCY = 0.9


@contextlib.contextmanager
def _group(backend: str, rank: int, ranks: int, port: int) -> Iterator[None]:
    address = f'tcp://127.0.0.1:{port}'
    distributed.init_process_group(
        backend, init_method=address, rank=rank, world_size=ranks
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def one_rank(setting: Setting) -> Outcome:
    """A group of one rank: the wrapped model trains like the model alone."""
    args = scaling.parse_args(setting.options('bfloat16'))
    losses = []
    backend = 'nccl' if setting.on_gpu else 'gloo'
    with _group(backend, 0, 1, choose_port()):
        for wrapped in (False, True):
            case = case_of(setting.pick('mbv3', 'mbv3_small'), args)
            torch.manual_seed(0)
            model = case.place(case.lgd(case.sizes), channels_last=True).train()
            if wrapped:
                ids = [torch.cuda.current_device()] if setting.on_gpu else None
                model = AnyDeviceDDP(model, device_ids=ids, broadcast_buffers=False)
            wrapper = case.optim_wrapper(model)
            losses.append(
                [
                    float(model.train_step(case.stored_batch, wrapper)['loss'])
                    for _ in range(3)
                ]
            )
    worst = max(abs(a - b) / abs(b) for a, b in zip(*losses))
    figure = f'{backend}: largest difference of a loss {worst:.2%} in 3 steps'
    return Outcome(worst <= 0.01, figure, dict(losses=losses))


def all_ranks(setting: Setting) -> Outcome:
    """Stored LGD on all GPUs of the machine."""
    ranks = torch.cuda.device_count() if setting.on_gpu else 0
    if ranks < 2:
        return Outcome(None, f'needs two GPUs, and there are {ranks}')
    args = scaling.parse_args(setting.options('bfloat16'))
    rates = [scaling.compare(count, args)['images_per_second'] for count in (1, ranks)]
    efficiency = rates[1] / rates[0] / ranks
    figure = f'{ranks} ranks: {rates[1]:.0f} images/s, efficiency {efficiency:.2f}'
    return Outcome(efficiency >= EFFICIENCY, figure, dict(images_per_second=rates))


def sync_batch_norm(setting: Setting) -> Outcome:
    """SyncBatchNorm on two ranks against BatchNorm on the whole batch."""
    if not setting.on_gpu:
        return needs_gpu('torch has no SyncBatchNorm for a CPU')
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_normalise_half, (choose_port(), folder), nprocs=2)
        halves = [torch.load(Path(folder) / f'{rank}.pth') for rank in (0, 1)]
    layer, images = nn.BatchNorm2d(8), _images()
    whole = layer(images)
    (whole * _images(1)).sum().backward()
    outputs = torch.cat([half['outputs'] for half in halves])
    difference = (outputs - whole).abs().max().item()
    gradient = sum(half['gradient'] for half in halves) - layer.weight.grad
    mean = (halves[0]['mean'] - layer.running_mean).abs().max().item()
    worst = max(difference, gradient.abs().max().item() / 10, mean)
    return Outcome(worst < 1e-4, f'largest difference {worst:.1e}')


def _images(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(8, 8, 5, 5, generator=generator) + 1


def _normalise_half(rank: int, port: int, folder: str) -> None:
    # Two ranks of NCCL cannot share a GPU, two of gloo can.
    own = torch.cuda.device_count() > 1
    torch.cuda.set_device(rank if own else 0)
    with _group('nccl' if own else 'gloo', rank, 2, port):
        layer = nn.SyncBatchNorm(8).cuda()
        outputs = layer(_images().chunk(2)[rank].cuda())
        (outputs * _images(1).chunk(2)[rank].cuda()).sum().backward()
        found = dict(
            outputs=outputs, gradient=layer.weight.grad, mean=layer.running_mean
        )
        found = {name: each.detach().cpu() for name, each in found.items()}
        torch.save(found, Path(folder) / f'{rank}.pth')

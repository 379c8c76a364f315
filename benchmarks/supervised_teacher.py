"""Trains a small supervised backbone, the second teacher of cifar10_two_teachers.py.

    python -m benchmarks.supervised_teacher benchmarks/comparison/configs/cifar10.py \
        --out work_dirs/benchmarks/cifar10_supervised.pth
"""

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from torch import nn

from benchmarks.comparison.plan import load_benchmark
from benchmarks.in_memory.images import Images
from mmlgd.registry import MODELS

#: Sixteen channels and a first stage at half the size, for training on a CPU.
BACKBONE = dict(
    type='mmpretrain.ResNet_CIFAR', depth=18, base_channels=16, strides=(2, 2, 2, 1)
)
_BATCH = 128


def main() -> None:
    """Train on the labelled images of a benchmark; print the validation accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('benchmark', help='a benchmark file')
    parser.add_argument('--passes', type=int, default=8)
    parser.add_argument('--out', required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    init_default_scope('mmlgd')
    benchmark = load_benchmark(args.benchmark)
    benchmark.read_data()
    clip = MODELS.build(benchmark.teacher)
    train, val = (
        Images(each, benchmark, clip) for each in (benchmark.train, benchmark.val)
    )
    labels = train.names_of(benchmark.names)
    backbone = MODELS.build(BACKBONE)
    width = BACKBONE['base_channels'] * 8
    head = nn.Linear(width, len(benchmark.names))
    model = nn.Sequential(
        backbone, _Last(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head
    )
    model.to(memory_format=torch.channels_last)
    steps = args.passes * (len(labels) // _BATCH)
    optimizer = torch.optim.SGD(
        model.parameters(), 0.2, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=steps)
    for number in range(args.passes):
        views = train.draw(number)
        order = torch.randperm(len(labels))[: steps // args.passes * _BATCH]
        started = time.process_time()
        for chosen in order.split(_BATCH):
            loss = F.cross_entropy(
                model(train.normalise(views[chosen])),
                labels[chosen],
                label_smoothing=0.1,
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        used = time.process_time() - started
        model.eval()
        hits = val.embed(val.pixels, model).argmax(1) == val.names_of(benchmark.names)
        model.train()
        print(
            f'pass {number}: {100 * hits.float().mean():.2f} %, {used:.0f} s',
            flush=True,
        )
    state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=state), args.out)


class _Last(nn.Module):
    def forward(self, maps: tuple) -> torch.Tensor:
        return maps[-1]


if __name__ == '__main__':
    main()

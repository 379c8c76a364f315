"""Measures a student's step with and without the backbone compiled by ``CompileHook``.

A step is forward, backward and SGD, with a different learning rate each time. Two
copies of the backbone train alternately in one process. The ratio excludes compilation,
which is reported separately with the number of graphs. It must not grow after the
second step.
"""

import argparse
import copy
import time
from collections.abc import Callable
from itertools import count

import torch
from mmengine.config import Config
from torch import nn
from torch._dynamo.utils import counters

from benchmarks.speed.timing import (
    alternate,
    deciding_clock,
    machine,
    ratio,
    write_result,
)
from mmlgd.registry import MODELS
from mmlgd.utils.tool import run_tool

_OPTIONS = ('config', 'batch_size', 'image_size', 'backend')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--config', default='configs/demo/fashion_mnist_mbv3_small.py')
    parser.add_argument('--batch-size', type=int, default=128)
    parser.add_argument('--image-size', type=int, default=32, help='in pixels')
    parser.add_argument('--backend', default='inductor')
    parser.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu'
    )
    parser.add_argument('--threads', type=int, default=1, help='default: 1')
    parser.add_argument('--rounds', type=int, default=11)
    parser.add_argument('--out', help='JSON file for the results')
    return parser.parse_args(argv)


def step_of(backbone: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    """A training step of a backbone; the learning rate differs in each call."""
    optimizer = torch.optim.SGD(backbone.parameters(), lr=0.1, momentum=0.9)
    steps = count(1)

    def step() -> None:
        for group in optimizer.param_groups:
            group['lr'] = 0.01 / next(steps)
        backbone(images)[-1].square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def compare(args: argparse.Namespace) -> dict:
    """Graphs, graph breaks and times of a compiled backbone and of its plain copy."""
    config = Config.fromfile(args.config).model.backbone
    plain = MODELS.build(config).to(args.device, memory_format=torch.channels_last)
    compiled = copy.deepcopy(plain)
    # As CompileHook does it.
    compiled.compile(dynamic=False, backend=args.backend)
    size = (args.batch_size, 3, args.image_size, args.image_size)
    images = torch.randn(size, device=args.device)
    sides = dict(plain=step_of(plain, images), compiled=step_of(compiled, images))

    first, graphs = [], []
    for _ in range(3):
        begin = time.process_time()
        sides['compiled']()
        first.append(round(time.process_time() - begin, 2))
        graphs.append(counters['stats']['unique_graphs'])
    times = alternate(sides, args.rounds, warm_up=1)
    graphs.append(counters['stats']['unique_graphs'])
    return dict(
        first_steps=first,
        graphs=graphs,
        graph_breaks=sum(counters['graph_break'].values()),
        plain_over_compiled=ratio(
            times[deciding_clock(args.device)], 'plain', 'compiled'
        ),
        times=times,
    )


def main(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    found = compare(args)
    gain = found['plain_over_compiled']
    print(f'first compiled steps, seconds: {found["first_steps"]}')
    print(f'graphs after 1, 2, 3 and {4 + args.rounds} steps: {found["graphs"]}')
    print(f'graph breaks: {found["graph_breaks"]}')
    print(
        f'plain takes {gain["median"]:.3f} times as long as compiled '
        f'({gain["low"]:.3f} to {gain["high"]:.3f})'
    )
    options = {name: vars(args)[name] for name in _OPTIONS}
    conditions = machine(args.device, args.threads)
    write_result(args.out, dict(conditions, options=options, **found))


if __name__ == '__main__':
    run_tool(lambda: main(parse_args()))

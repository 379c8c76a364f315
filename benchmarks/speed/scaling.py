"""Measures LGD with stored views on several processes, and the bytes they exchange.

Each rank trains on its own batch, with gloo on the CPU and nccl on GPUs. The inputs of
all collectives in one step are read from torch's profiler. They are compared with what
the algorithm needs: the gradients, and each image's teacher embedding with its
category.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.multiprocessing as mp
from mmengine.registry import init_default_scope
from torch import distributed
from torch.profiler import ProfilerActivity, profile

from benchmarks.speed.timing import (
    CLOCKS,
    deciding_clock,
    machine,
    measure,
    spread,
    write_result,
)
from benchmarks.speed.train_case import add_case_arguments, case_of
from mmlgd.engine import AnyDeviceDDP
from mmlgd.utils.ports import choose_port
from mmlgd.utils.tool import run_tool

#: Names of the collectives in torch's dispatcher.
_PREFIX = 'c10d::'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_case_arguments(parser)
    parser.add_argument('--student', default='mbv3')
    parser.add_argument('--ranks', nargs='+', type=int, default=(1, 2))
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--warm-up', type=int, default=3)
    return parser.parse_args(argv)


def run_rank(
    rank: int, world_size: int, args: argparse.Namespace, port: int, folder: str
) -> None:
    """Train on one rank and write its results to the folder."""
    torch.set_num_threads(args.threads)
    init_default_scope('mmlgd')
    is_cpu = args.device == 'cpu'
    if not is_cpu:
        torch.cuda.set_device(rank)
    distributed.init_process_group(
        'gloo' if is_cpu else 'nccl',
        init_method=f'tcp://127.0.0.1:{port}',
        rank=rank,
        world_size=world_size,
    )
    case = case_of(args.student, args)
    # On a GPU: the current device.
    model = case.place(case.lgd(case.sizes), channels_last=True)
    wrapped = model
    if world_size > 1:
        # As in configs/_base_/default_runtime.py.
        ids = None if is_cpu else [rank]
        wrapped = AnyDeviceDDP(model, device_ids=ids, broadcast_buffers=False)
    wrapper = case.optim_wrapper(wrapped)
    batch = case.stored_batch

    def step() -> None:
        wrapped.train_step(batch, wrapper)

    for _ in range(args.warm_up):
        step()
    spent = [measure(step) for _ in range(args.rounds)]
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    figures = dict(
        seconds={clock: [each[clock] for each in spent] for clock in CLOCKS},
        collectives=count_collectives(step),
        needed_bytes=dict(
            gradients=4 * trained,
            # float32 rows with their category.
            embeddings=4 * args.batch_size * (case.sizes.embed_dims + 1),
        ),
    )
    torch.save(figures, Path(folder) / f'{rank}.pth')
    distributed.barrier()
    distributed.destroy_process_group()


def count_collectives(step: Callable[[], object]) -> dict[str, dict[str, int]]:
    """Calls and input bytes of each collective on this rank in one step.

    Args:
        step (Callable): Runs one step.

    Returns:
        dict[str, dict[str, int]]: By name of the collective, ``calls`` and
        ``bytes``, of float32 elements.
    """
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        step()
    # The trace contains the shapes in lists of tensors; the profiler's events do not.
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / 'trace.json'
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())['traceEvents']
    found: dict[str, dict[str, int]] = {}
    for event in events:
        if event.get('name', '').startswith(_PREFIX):
            name = event['name'].removeprefix(_PREFIX)
            total = found.setdefault(name, dict(calls=0, bytes=0))
            total['calls'] += 1
            total['bytes'] += 4 * _handed_over(event['args']['Input Dims'], name)
    return found


def _handed_over(shapes: list, name: str) -> int:
    """Number of elements that a collective sends, from the shapes of its arguments."""
    # The first argument of a gather is its output, the second its input.
    sent = shapes[1] if 'gather' in name else shapes[0]
    is_list = bool(sent) and isinstance(sent[0], list)
    return sum(map(math.prod, sent if is_list else [sent]))


def compare(world_size: int, args: argparse.Namespace) -> dict:
    """Results for a number of ranks; the time is that of the slowest rank."""
    with tempfile.TemporaryDirectory() as folder:
        options = (world_size, args, choose_port(), folder)
        mp.spawn(run_rank, options, nprocs=world_size)
        ranks = [
            torch.load(Path(folder) / f'{rank}.pth', weights_only=True)
            for rank in range(world_size)
        ]
    seconds = {
        clock: spread(
            [max(values) for values in zip(*(each['seconds'][clock] for each in ranks))]
        )
        for clock in CLOCKS
    }
    rate = world_size * args.batch_size / seconds[deciding_clock(args.device)]['median']
    return dict(
        ranks=world_size,
        seconds=seconds,
        images_per_second=rate,
        collectives=ranks[0]['collectives'],
        needed_bytes=ranks[0]['needed_bytes'],
    )


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    rows = []
    for world_size in args.ranks:
        row = compare(world_size, args)
        rows.append(row)
        one = rows[0]['images_per_second'] / rows[0]['ranks']
        row['efficiency'] = row['images_per_second'] / world_size / one
        print(
            f'{world_size} rank(s): {row["images_per_second"]:.1f} images/s, efficiency '
            f'{row["efficiency"]:.2f}; per rank and step: {row["collectives"]}, required '
            f'bytes {row["needed_bytes"]}',
            flush=True,
        )
    result = dict(machine(args.device, args.threads), student=args.student)
    result.update(batch_size=args.batch_size, rows=rows)
    write_result(args.out, result)


if __name__ == '__main__':
    run_tool(main)

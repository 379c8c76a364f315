"""Measures a step of language-guided distillation against supervised training.

Variants: `supervised`, the same backbone trained on labels; `stored`, LGD with stored
teacher embeddings; `online`, LGD; `published`, a direct implementation of the published
algorithm; `teacher`, its forward pass only. Each step includes normalisation of the
same uint8 images, forward and backward pass, and the optimizer. Peak memory is measured
in a separate process for each variant.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence

import torch
from mmengine.registry import init_default_scope

from benchmarks import ROOT
from benchmarks.speed.memory import peak_host_mib
from benchmarks.speed.timing import (
    Times,
    alternate,
    deciding_clock,
    machine,
    product_gflop,
    ratio,
    spread,
    write_result,
)
from benchmarks.speed.train_case import add_case_arguments, case_of
from benchmarks.speed.train_sides import Sides
from mmlgd.utils.tool import run_tool

SIDES = ('supervised', 'stored', 'online', 'published', 'teacher')
#: Name of a ratio: (variants in the numerator, variants in the denominator).
RATIOS = {
    'speed of stored LGD / supervised': (('supervised',), ('stored',)),
    'speed of stored LGD / published': (('published',), ('stored',)),
    'time of online LGD / (teacher + stored LGD)': (('online',), ('teacher', 'stored')),
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_case_arguments(parser)
    parser.add_argument('--students', nargs='+', default=['mbv3', 'r18', 'effb0'])
    parser.add_argument('--sides', nargs='+', choices=SIDES, default=SIDES)
    parser.add_argument(
        '--contiguous',
        action='store_true',
        help='no channels-last; default: used except in the published algorithm',
    )
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument(
        '--steps',
        type=int,
        default=10 if torch.cuda.is_available() else 1,
        help='steps per round; on a GPU, the host prepares one during the other',
    )
    parser.add_argument('--warm-up', type=int, default=2)
    parser.add_argument('--skip-memory', action='store_true')
    parser.add_argument('--memory-of', help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def sides_of(student: str, args: argparse.Namespace) -> Sides:
    """The variants with the setting from the options."""
    return Sides(case_of(student, args, channels_last=not args.contiguous))


def compare(student: str, args: argparse.Namespace) -> dict:
    """Results for one student."""
    choices = sides_of(student, args)
    steps = {side: _repeated(choices.step(side), args.steps) for side in args.sides}
    times = alternate(steps, args.rounds, args.warm_up)
    decided = times[deciding_clock(args.device)]
    peak = product_gflop(args.device, args.precision)
    sides = {}
    for side in args.sides:
        seconds = spread(decided[side])
        rate = args.steps * args.batch_size / seconds['median']
        gflop = choices.gflop(side)
        sides[side] = dict(
            seconds=seconds,
            images_per_second=rate,
            gflop_per_image=gflop,
            # Relative to a large matrix product on this machine, in the same precision.
            share_of_peak=rate * gflop / peak,
        )
        if not args.skip_memory:
            sides[side]['memory'] = memory_of(side, student, args)
    ratios = {
        name: ratio(_sums(decided, *parts), *_sums(decided, *parts))
        for name, parts in RATIOS.items()
        if all(side in decided for which in parts for side in which)
    }
    return dict(student=student, sides=sides, ratios=ratios, times=times)


def _repeated(step: Callable[[], object], count: int) -> Callable[[], None]:
    def steps() -> None:
        for _ in range(count):
            step()

    return steps


def _sums(times: Times, *groups: Sequence[str]) -> Times:
    """Total seconds of each group of variants, per round."""
    return {
        '+'.join(group): [sum(parts) for parts in zip(*map(times.get, group))]
        for group in groups
    }


def memory_of(side: str, student: str, args: argparse.Namespace) -> dict:
    """Peak memory in MiB of a process that trains one variant for two steps."""
    options = [
        *('--students', student, '--memory-of', side, '--teacher', args.teacher),
        *('--batch-size', str(args.batch_size), '--device', args.device),
        *('--num-categories', str(args.num_categories)),
        *('--precision', args.precision, '--threads', str(args.threads)),
        *(['--contiguous'] if args.contiguous else []),
    ]
    command = [sys.executable, '-W', 'ignore', '-m', 'benchmarks.speed.train_step']
    done = subprocess.run(
        [*command, *options], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def report_own_memory(args: argparse.Namespace) -> None:
    """Train one variant and print the peak memory of this process."""
    imported = peak_host_mib()
    step = sides_of(args.students[0], args).step(args.memory_of)
    for _ in range(2):
        step()
    found = dict(host_mib=peak_host_mib(), host_mib_of_imports=imported)
    if args.device != 'cpu':
        found['device_mib'] = round(torch.cuda.max_memory_allocated() / 2**20)
    print(json.dumps(found))


def print_row(row: dict) -> None:
    """A student's results as text."""
    print(f'{row["student"]:<12}  images/s  GFLOP per image  share of peak  peak MiB')
    for name, side in row['sides'].items():
        memory = side.get('memory', dict(host_mib='-'))
        memory = memory.get('device_mib', memory['host_mib'])
        print(
            f'  {name:<10}  {side["images_per_second"]:8.1f}  '
            f'{side["gflop_per_image"]:14.2f}  {side["share_of_peak"]:13.2f}  '
            f'{memory:8}'
        )
    for name, value in row['ratios'].items():
        print(
            f'  {name}: {value["median"]:.3f} ({value["low"]:.3f} to '
            f'{value["high"]:.3f})',
            flush=True,
        )


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    init_default_scope('mmlgd')
    if args.memory_of:
        report_own_memory(args)
        return
    rows = []
    for student in args.students:
        rows.append(compare(student, args))
        print_row(rows[-1])
    settings = {
        name: getattr(args, name)
        for name in ('teacher', 'batch_size', 'num_categories', 'precision', 'steps')
    }
    result = dict(
        machine(args.device, args.threads),
        **settings,
        channels_last=not args.contiguous,
        rows=rows,
    )
    write_result(args.out, result)


if __name__ == '__main__':
    run_tool(main)

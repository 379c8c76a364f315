"""Shows on a GPU what only a GPU can show: 'pass' or 'fail' and a figure for each row.

Three commands of at most ten minutes each; their results are merged in one JSON file:

    python -m benchmarks.gpu_acceptance --part 1    # tests, precision, process groups
    python -m benchmarks.gpu_acceptance --part 2    # training steps, memory
    python -m benchmarks.gpu_acceptance --part 3    # compilation, banks, distillation

Without ``--part``, all three run (``make gpu-check``). ``--device cpu --dry-run`` tries
every row at a tiny size. ``--write-docs`` publishes a result in docs/speed.md. A machine
without network: tools/misc/offline_wheels.py.
"""

import argparse
import os
import time
from pathlib import Path

import torch

from benchmarks import ROOT
from benchmarks.gpu.isolation import run_isolated
from benchmarks.gpu.outcome import Setting
from benchmarks.gpu.report import conditions, merge, write_docs
from benchmarks.gpu.rows import ROWS, state_of
from mmlgd.errors import ConfigError
from mmlgd.utils.tool import run_tool

#: Seconds of one part; a command of ten minutes also starts and writes its results.
PART_LIMIT = 570


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--part', type=int, choices=(1, 2, 3), help='default: all')
    parser.add_argument('--rows', nargs='+', metavar='NAME', help='default: all')
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda')
    parser.add_argument('--dry-run', action='store_true', help='tiny sizes')
    parser.add_argument(
        '--out', type=Path, help='default: work_dirs/gpu_acceptance/result.json'
    )
    parser.add_argument(
        '--write-docs',
        nargs='?',
        type=Path,
        const=Path(),
        metavar='JSON',
        help='write the table of docs/speed.md from JSON (default: as published)',
    )
    return parser.parse_args(argv)


def check_device(args: argparse.Namespace) -> None:
    """Check that the rows can run.

    Raises:
        ConfigError: There is no GPU, or a CPU without ``--dry-run``.
    """
    if args.device == 'cpu' and not args.dry_run:
        raise ConfigError('--device cpu needs --dry-run: a CPU shows nothing of a GPU.')
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise ConfigError(
            'There is no CUDA device. --device cpu --dry-run tries the rows on a CPU.'
        )


def run_part(part: int, args: argparse.Namespace, out: Path) -> list[dict]:
    """Run the rows of a part, within the time of a part."""
    setting, end = Setting(args.device, args.dry_run), time.monotonic() + PART_LIMIT
    found = []
    for row in ROWS:
        if row.part != part or (args.rows and row.name not in args.rows):
            continue
        begin = time.monotonic()
        limit = max(1, min(row.limit, end - begin))
        log = out.parent / f'{row.name.replace(" ", "_")}.log'
        outcome = run_isolated(row.run, setting, limit, log)
        state, seconds = state_of(row, outcome, setting), time.monotonic() - begin
        print(
            f'{state:<8} {row.name:<19} {seconds:4.0f} s  {outcome.figure}', flush=True
        )
        found.append(
            dict(
                name=row.name,
                part=part,
                state=state,
                wanted=row.wanted,
                figure=outcome.figure,
                seconds=round(seconds, 1),
                data=outcome.data,
            )
        )
    return found


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    os.chdir(ROOT)
    if args.write_docs is not None:
        write_docs(args.write_docs if args.write_docs.name else None)
        return 0
    unknown = {*(args.rows or ())} - {row.name for row in ROWS}
    if unknown:
        names = ', '.join(row.name for row in ROWS)
        raise ConfigError(f'Unknown rows {sorted(unknown)}; choose from {names}.')
    check_device(args)
    folder = 'gpu_acceptance_dry' if args.dry_run else 'gpu_acceptance'
    out = (args.out or Path('work_dirs') / folder / 'result.json').resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    head, failed = conditions(args.dry_run), 0
    for part in (args.part,) if args.part else (1, 2, 3):
        rows = run_part(part, args, out)
        merge(out, head, rows)
        failed += sum(row['state'] == 'fail' for row in rows)
    print(f'{failed} row(s) failed. Written: {out}')
    return int(failed > 0)


if __name__ == '__main__':
    run_tool(main)

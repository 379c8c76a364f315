"""Trains and evaluates the methods of a benchmark file, and compares them.

Each method and seed is a run with a folder of its own. Finished parts are not
repeated, killed trainings go on from their checkpoint; a changed config makes a run
anew, and so does changed code if told so. The table holds what there is.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import mmlgd  # noqa: F401, I001  (first: it makes `mmpretrain::` bases resolve)
from benchmarks import report
from benchmarks.all_runs import run_all
from benchmarks.completion import CODE_CHANGES
from benchmarks.plan import EVALUATIONS, SPLITS, Benchmark, load_benchmark
from benchmarks.provenance import provenance
from transfer.runs import ROOT

from mmlgd.utils.atomic import write_atomically
from mmlgd.utils.tool import run_tool
from mmlgd.visualization import draw_costs


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('benchmark', help='a file of configs/benchmarks/')
    parser.add_argument('--methods', nargs='+', help='default: all')
    parser.add_argument('--seeds', nargs='+', type=int, help='default: all')
    parser.add_argument(
        '--evaluations',
        nargs='+',
        help=f'some of {", ".join(EVALUATIONS)}; default: what the file asks for',
    )
    parser.add_argument(
        '--split',
        choices=SPLITS,
        help='images that are reported; settings are chosen on `val`; default: as the '
        'file says, else test',
    )
    parser.add_argument(
        '--jobs',
        type=int,
        default=1,
        help='runs at a time, one thread each; default: 1',
    )
    parser.add_argument(
        '--code-change',
        choices=CODE_CHANGES,
        default=CODE_CHANGES[0],
        help='what becomes of runs made with another state of the code; default: refuse',
    )
    parser.add_argument(
        '--report-only', action='store_true', help='run nothing; say what there is'
    )
    parser.add_argument('--work-dir', help='default: the file says')
    parser.add_argument(
        '--publish', type=Path, help='folder that takes table and figure'
    )
    parser.add_argument(
        '--short',
        action='store_true',
        help='two iterations, to see that it runs; in a work dir of its own, *_short',
    )
    return parser.parse_args(argv)


def shorten(benchmark: Benchmark, args: argparse.Namespace) -> Benchmark:
    """The same in a folder of its own, with settings that fit some dozens of images."""
    benchmark = load_benchmark(args.benchmark, f'{benchmark.work_dir}_short')
    probe = benchmark.settings['probe']
    probe['percentages'] = {
        percent: dict(options, epochs=2)
        for percent, options in probe['percentages'].items()
        if int(percent) >= 10
    }
    if 'transfer' in benchmark.settings:
        scenes = dict(num_train=4, num_val=4, size=96)
        benchmark.settings['transfer'].update(short=True, scenes=scenes)
    return benchmark


def write_report(benchmark: Benchmark, args: argparse.Namespace) -> None:
    """Write table, JSON and figure; print the table."""
    rows = report.collect(benchmark, args.split, args.short)
    made = provenance()
    made = {key: made[key] for key in ('command', 'commit', 'date')}
    text = report.document(benchmark, rows, args.split, made)
    told = dict(
        benchmark=benchmark.name,
        title=benchmark.title,
        split=args.split,
        seeds=benchmark.seeds,
        settings=benchmark.settings,
        reported=made,
        rows=rows,
    )
    stem = benchmark.work_dir / f'{benchmark.name}_{args.split}'
    files = [stem.with_suffix(suffix) for suffix in ('.md', '.json', '.png')]
    write_atomically(files[0], text)
    write_atomically(files[1], json.dumps(told, indent=2) + '\n')
    titles = {name: title for _, name, title, _ in report.columns_of(benchmark)}
    draw_costs(rows, titles, files[2])
    if args.publish:
        args.publish.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(file, args.publish)
    print(f'\n{text}\nWritten: {", ".join(map(str, files))}')


def seen_from_root(path: str | Path) -> Path:
    """A path that counts from where the user stands, for a process in :data:`ROOT`.

    Inside the repository it stays relative, and says the same in every copy.
    """
    path = Path(os.path.abspath(path))
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    for name in ('benchmark', 'work_dir', 'publish'):
        if (path := getattr(args, name)) is not None:
            setattr(args, name, seen_from_root(path))
    os.chdir(ROOT)
    benchmark = load_benchmark(args.benchmark, args.work_dir)
    args.split = args.split or benchmark.split
    if args.short:
        benchmark = shorten(benchmark, args)
    failed = [] if args.report_only else run_all(benchmark, args)
    write_report(benchmark.reported_on(args.split), args)
    if failed:
        sys.exit(f'Failed: {", ".join(failed)}.')


if __name__ == '__main__':
    run_tool(main)

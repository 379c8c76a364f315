"""Trains and evaluates the methods of a benchmark file, and compares them.

Each method and seed is a run in its own folder. Finished runs with unchanged settings,
weights, names and images are not repeated. Interrupted trainings resume from their
checkpoint. The table shows all available results.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.comparison import report
from benchmarks.comparison.methods import choose
from benchmarks.comparison.plan import EVALUATIONS, SPLITS, Benchmark, load_benchmark
from benchmarks.comparison.runs import Run, complete_all
from benchmarks.provenance import provenance
from mmlgd.errors import ConfigError
from mmlgd.utils.tool import run_tool


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser('benchmarks.comparison', description=__doc__)
    add = parser.add_argument
    add('benchmark', help='a benchmark file, or the JSON file of a report to print it')
    add('--methods', nargs='+', help='default: all')
    add('--seeds', nargs='+', type=int, help='default: all')
    text = f'some of {", ".join(EVALUATIONS)}; default: those of the file'
    add('--evaluations', nargs='+', help=text)
    text = 'split to evaluate on; choose settings on `val`; default: test'
    add('--split', choices=SPLITS, help=text)
    add('--jobs', type=int, default=1, help='number of parallel runs, one thread each')
    text = 'run nothing; report available results'
    add('--report-only', action='store_true', help=text)
    add('--work-dir', help='default: those of the file')
    text = 'test run with two iterations and short probes, in *_short'
    add('--short', action='store_true', help=text)
    return parser.parse_args(argv)


def shorten(benchmark: Benchmark) -> None:
    """Limit to two iterations and probes of two epochs, in a separate folder."""
    benchmark.work_dir = Path(f'{benchmark.work_dir}_short')
    benchmark.iterations, benchmark.warm_up = 2, None
    benchmark.batch_size = min(8, benchmark.batch_size)
    for method in benchmark.methods.values():
        method.iterations = None
    for options in benchmark.settings['probe']['percentages'].values():
        options.update(draws=1, epochs=2)
    scenes = dict(num_train=4, num_val=4, size=96)
    benchmark.settings['transfer'].update(short=True, scenes=scenes)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.benchmark.endswith('.json'):
        written = json.loads(Path(args.benchmark).read_text('utf-8'))
        print(report.document(written))
        return
    benchmark = load_benchmark(args.benchmark, args.work_dir)
    split = args.split or benchmark.split
    if args.short:
        shorten(benchmark)
    default = [n for n in benchmark.evaluations if n not in benchmark.on_request]
    asked = args.evaluations or default
    evaluations = choose(asked, benchmark.evaluations, 'evaluation', args.benchmark)
    if split == 'val' and 'transfer' in evaluations:
        raise ConfigError(
            'the scenes of transfer contain test images, on which no setting may be '
            'chosen: with --split val, omit transfer from --evaluations.'
        )
    names = choose(args.methods, benchmark.methods, 'method', args.benchmark)
    seeds = choose(args.seeds, benchmark.seeds, 'seed', args.benchmark)
    benchmark.read_data()
    pairs = [(benchmark.methods[name], seed) for seed in seeds for name in names]
    runs = [
        Run(benchmark, *pair)
        for pair in pairs
        if pair[1] in benchmark.seeds_of(pair[0])
    ]
    failed = []
    if not args.report_only:
        failed = complete_all(runs, evaluations, split, args.jobs)
    now = provenance()
    reported = {key: now[key] for key in ('command', 'commit', 'date')}
    made = report.collect(benchmark, split, reported)
    files = report.write(made, benchmark.work_dir / f'{benchmark.name}_{split}')
    print(f'\n{report.document(made)}\nWritten: {", ".join(map(str, files))}')
    if failed:
        sys.exit(f'Failed: {", ".join(failed)}.')


if __name__ == '__main__':
    run_tool(main)

"""All runs that are asked for, with what they need before; a failure stops no other."""

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.completion import complete
from benchmarks.methods import Method
from benchmarks.plan import Benchmark, check_split, choose
from benchmarks.preparation import prepare_method
from benchmarks.runs import Run
from benchmarks.scene_transfer import prepare_scenes

from mmlgd.errors import MMLGDError


def attempt(name: str, step: Callable, *arguments: object) -> str | None:
    """Do a step; where it fails, say so and return the reason."""
    try:
        step(*arguments)
    except MMLGDError as error:
        print(f'{name}: FAILED: {error}', flush=True)
        return str(error)
    print(f'{name}: done', flush=True)
    return None


def prepare_methods(methods: Sequence[Method], short: bool) -> dict[Path, str | None]:
    """Prepare what methods need; by file, why it failed, or None."""
    found = {}
    for method in methods:
        # Methods share files: what failed once is not tried again.
        if method.prepare and not found.get(method.prepared):
            name = f'preparation of {method.name}'
            found[method.prepared] = attempt(name, prepare_method, method, short)
    return found


def run_all(benchmark: Benchmark, args: argparse.Namespace) -> list[str]:
    """Do what is left of the runs asked for.

    Args:
        benchmark (Benchmark): Theirs.
        args (Namespace): ``methods``, ``seeds``, ``evaluations``, ``split``, ``jobs``,
            ``code_change`` and ``short`` of the command line.

    Returns:
        list[str]: Runs, prepared files and 'scenes' that failed.

    Raises:
        ConfigError: Something is asked for that there is not, or transfer for 'val'.
    """
    wanted = args.evaluations or benchmark.default_evaluations
    evaluations = choose(wanted, benchmark.evaluations, 'evaluation', benchmark.path)
    check_split(evaluations, args.split)
    runs = [
        Run(benchmark, benchmark.methods[name], seed, args.short)
        for seed in choose(args.seeds, benchmark.seeds, 'seed', benchmark.path)
        for name in choose(args.methods, benchmark.methods, 'method', benchmark.path)
        if benchmark.methods[name].role != 'teacher' or seed == benchmark.seeds[0]
    ]
    benchmark.prepare_data()
    names = dict.fromkeys(run.method.name for run in runs)
    unprepared = prepare_methods([benchmark.methods[n] for n in names], args.short)
    no_scenes = None
    if 'transfer' in evaluations:
        folder, settings = benchmark.work_dir / 'transfer', benchmark.settings
        no_scenes = attempt('scenes', prepare_scenes, folder, settings['transfer'])

    def finish(run: Run) -> str | None:
        found = dict(training=unprepared.get(run.method.prepared), transfer=no_scenes)
        hindrances = {part: reason for part, reason in found.items() if reason}
        given = (run, evaluations, args.split, args.code_change, hindrances)
        failure = attempt(run.folder.name, complete, *given)
        return run.folder.name if failure else None

    failed = [str(path) for path, reason in unprepared.items() if reason]
    failed += ['scenes'] if no_scenes else []
    with ThreadPoolExecutor(args.jobs) as pool:
        return failed + [name for name in pool.map(finish, runs) if name]

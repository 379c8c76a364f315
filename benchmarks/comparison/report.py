"""Means and deviations over seeds, as a table, as JSON and for a figure."""

import statistics
from collections.abc import Sequence

from benchmarks.plan import Benchmark
from benchmarks.provenance import describe_makers
from benchmarks.runs import Run

from mmlgd.datasets.fashion_scenes import SceneSettings

NOT_RUN, NOT_APPLICABLE, FAILED = 'not run', '–', 'failed'
# Evaluation to its columns: name, title, keys that lead to the value.
_COLUMNS = dict(
    zero_shot=[('zero_shot', 'zero-shot', ('top1',))],
    knn=[('knn', 'k-NN', ('top1',))],
    transfer=[
        ('box_ap', 'box AP', ('box_ap',)),
        ('mask_ap', 'mask AP', ('mask_ap',)),
        ('mIoU', 'mIoU', ('mIoU',)),
    ],
)
COST = ('cpu_seconds', 'cost (s)')


def columns_of(benchmark: Benchmark) -> list[tuple[str, str, str, tuple]]:
    """Evaluation, name, title and path to the value, of each column."""
    found = []
    for evaluation in benchmark.evaluations:
        part = _COLUMNS.get(evaluation)
        if evaluation == 'probe':
            part = [
                (f'probe_{percent}', f'probe {percent} %', (str(percent), 'top1'))
                for percent in benchmark.settings['probe']['percentages']
            ]
        found += [(evaluation, *column) for column in part]
    return found


def summarize(values: Sequence[float]) -> dict:
    """Mean and standard deviation of a sample.

    Args:
        values (Sequence[float]): One a seed.

    Returns:
        dict: ``mean``; ``std`` with n - 1 in the denominator, None for one value;
        ``values`` as they came.
    """
    std = statistics.stdev(values) if len(values) > 1 else None
    return dict(mean=statistics.fmean(values), std=std, values=list(values))


def collect(benchmark: Benchmark, split: str, short: bool = False) -> list[dict]:
    """One row a method.

    Args:
        benchmark (Benchmark): Whose results are read, of all its methods and seeds.
        split (str): 'val' or 'test'.
        short (bool): As for :class:`Run`. Defaults to False.

    Returns:
        list[dict]: ``method``, ``title``, ``seeds`` wanted, ``measures``: by column
        a dict of :func:`summarize`, or None where nothing is to be measured, or
        :data:`NOT_RUN` or :data:`FAILED`; and ``runs``, what is on disk.
    """
    rows = []
    for method in benchmark.methods.values():
        # A teacher has no seed: the same model whatever the run.
        seeds = benchmark.seeds[:1] if method.role == 'teacher' else benchmark.seeds
        runs = [Run(benchmark, method, seed, short).result(split) for seed in seeds]
        measures = {
            name: _measure(runs, evaluation, path, evaluation in method.skip)
            for evaluation, name, _, path in columns_of(benchmark)
        }
        measures[COST[0]] = _cost(runs) if method.role == 'student' else None
        rows.append(
            dict(
                method=method.name,
                title=method.title,
                seeds=list(seeds),
                measures=measures,
                runs=[run for run in runs if run],
            )
        )
    return rows


def _measure(
    runs: list[dict], evaluation: str, path: tuple, skipped: bool
) -> dict | str | None:
    if skipped:
        return None
    found = [
        run['evaluations'][evaluation]
        for run in runs
        if evaluation in run.get('evaluations', {})
    ]
    if not found:
        return _lack(runs)
    if None in found:
        return None
    for key in path:
        found = [part[key] for part in found if key in part]
    return summarize(found) if found else None


def _cost(runs: list[dict]) -> dict | str:
    """Of training and, once for each run, of what its method prepares."""
    trained = [run['training'] for run in runs if 'training' in run]
    seconds = [part[COST[0]] + part['preparation_seconds'] for part in trained]
    return summarize(seconds) if seconds else _lack(runs)


def _lack(runs: list[dict]) -> str:
    return FAILED if any('failure' in run for run in runs) else NOT_RUN


def markdown_table(benchmark: Benchmark, rows: list[dict]) -> str:
    """The rows as a Markdown table, in percent, mean ± standard deviation."""
    columns = [(name, title) for _, name, title, _ in columns_of(benchmark)] + [COST]
    lines = ['| method | ' + ' | '.join(title for _, title in columns) + ' |']
    lines.append('|---|' + '---:|' * len(columns))
    for row in rows:
        cells = [
            _cell(row['measures'][name], len(row['seeds']), 0 if name == COST[0] else 1)
            for name, _ in columns
        ]
        lines.append(f'| {row["title"]} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def _cell(measure: dict | str | None, wanted: int, digits: int) -> str:
    if measure is None:
        return NOT_APPLICABLE
    if isinstance(measure, str):
        return measure
    text = f'{measure["mean"]:.{digits}f}'
    if measure['std'] is not None:
        text += f' ± {measure["std"]:.{digits}f}'
    count = len(measure['values'])
    return text if count == wanted else f'{text} ({count} of {wanted})'


def document(benchmark: Benchmark, rows: list[dict], split: str, made: dict) -> str:
    """The table with what it needs to be understood and made again.

    Args:
        benchmark (Benchmark): Of the rows.
        rows (list[dict]): Those of :func:`collect`.
        split (str): 'val' or 'test'.
        made (dict): Of this report: ``command``, ``commit`` and ``date``.
    """
    runs = [run for row in rows for run in row['runs']]
    trainings = [run['training'] for run in runs if 'training' in run]
    lengths = {(part['iterations'], part['batch_size']) for part in trainings}
    lines = [
        f'# {benchmark.title}',
        '',
        f'{_measured(benchmark, split)}; mean ± standard deviation '
        f'(n − 1) over the seeds {", ".join(map(str, benchmark.seeds))}.',
        'Cost: processor time of a training on one thread (teacher, student, data, and what '
        'the method prepares before).',
        '',
        markdown_table(benchmark, rows),
        *(f'- {n} iterations of {size} images' for n, size in sorted(lengths)),
        *describe_makers(runs),
        f'- reported by `{made["command"]}` at {made["commit"] or "?"}, {made["date"]}',
    ]
    return '\n'.join(lines) + '\n'


def _measured(benchmark: Benchmark, split: str) -> str:
    images = dict(val='images for validation', test='test images')[split]
    text = f'Top-1 accuracy in percent, of the {images}'
    if 'transfer' in benchmark.evaluations:
        scenes = SceneSettings(**benchmark.settings['transfer']['scenes'])
        text += (
            f'; box AP, mask AP and mIoU in percent, of the {scenes.num_val} validation '
            'scenes composed of test images'
        )
    return text

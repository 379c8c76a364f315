"""Means and deviations over seeds, as tables, as compact JSON and for a figure.

A report is a dict: ``title``, ``split``, ``seeds``, ``columns`` (name to title),
``reference``, ``reported`` (command, commit, date) and ``rows``; a row has ``method``,
``title``, ``values`` (column to one number a seed; None where there is nothing to
measure, 'failed', 'stale', or [] where it was not run) and who made them.
"""

import json
import statistics
from pathlib import Path

from benchmarks.comparison.plan import Benchmark
from benchmarks.comparison.runs import Run
from mmlgd.datasets.fashion_scenes import SceneSettings
from mmlgd.utils.atomic import write_atomically
from mmlgd.visualization import draw_costs

NOT_RUN, NOT_APPLICABLE = 'not run', '–'
COST = 'cost'
_BALANCED = '_balanced'
_TRANSFER = dict(box_ap='box AP', mask_ap='mask AP', mIoU='mIoU')
_ACCURACY = 'Top-1 accuracy in percent, of the {images}'
_COST = (
    'Cost: CPU time of a training on one thread (teacher, student, data, and what the '
    'method prepares before).'
)


def columns_of(benchmark: Benchmark, split: str) -> dict[str, tuple[str, list[str]]]:
    """Name of each column to its title and the keys that lead to its value."""
    found = {}
    for name in benchmark.reported_on(split):
        if name == 'transfer':
            found |= {key: (text, [name, key]) for key, text in _TRANSFER.items()}
            continue
        parts = [(name, dict(zero_shot='zero-shot', knn='k-NN').get(name), [name])]
        if name == 'probe':
            parts = [
                (f'probe_{percent}', f'probe {percent} %', [name, percent])
                for percent in benchmark.settings['probe']['percentages']
            ]
        for column, text, keys in parts:
            found[column] = (text, [*keys, 'top1'])
            found[column + _BALANCED] = (f'{text}, balanced', [*keys, 'balanced'])
    return found


def collect(benchmark: Benchmark, split: str, reported: dict) -> dict:
    """The report on what is on disk of a benchmark; see the module.

    Columns of class-balanced accuracy are left out where the classes of the images are
    equally large, so that it is the plain one.
    """
    columns = columns_of(benchmark, split)
    rows = []
    for method in benchmark.methods.values():
        seeds = benchmark.seeds_of(method)
        results = [Run(benchmark, method, seed).result(split) for seed in seeds]
        values = {
            column: _values(results, keys, keys[0] in method.skip)
            for column, (_, keys) in columns.items()
        }
        values[COST] = _costs(results) if method.role == 'student' else None
        made = [result for result in results if 'inputs' in result]
        row = dict(
            method=method.name, title=method.title, seeds=[*seeds], values=values
        )
        row |= _made_by(made)
        rows.append(row)
    same = all(
        row['values'][name] == row['values'][name.removesuffix(_BALANCED)]
        for row in rows
        for name in columns
        if name.endswith(_BALANCED)
    )
    titles = {name: text for name, (text, _) in columns.items()}
    if same:
        titles = {n: t for n, t in titles.items() if not n.endswith(_BALANCED)}
        for row in rows:
            row['values'] = {n: row['values'][n] for n in [*titles, COST]}
    scenes = benchmark.settings['transfer'].get('scenes', {})
    return dict(
        title=benchmark.title,
        split=split,
        seeds=[*benchmark.seeds],
        columns=titles,
        reference=benchmark.reference,
        scenes=SceneSettings(**scenes).num_val,
        reported=reported,
        rows=rows,
    )


def _values(results: list[dict], keys: list[str], skipped: bool) -> list | str | None:
    if skipped:
        return None
    found = [
        result['evaluations'][keys[0]]
        for result in results
        if keys[0] in result.get('evaluations', {})
    ]
    if found and None in found:
        return None
    for key in keys[1:]:
        found = [value[key] for value in found]
    return found or _missing(results)


def _costs(results: list[dict]) -> list | str:
    """Of training and, for each run again, of what its method prepares."""
    trained = [result['training'] for result in results if 'training' in result]
    seconds = [part['cpu_seconds'] + part['preparation_seconds'] for part in trained]
    return [round(each, 2) for each in seconds] or _missing(results)


def _missing(results: list[dict]) -> list | str:
    for reason in ('failure', 'stale'):
        if any(reason in result for result in results):
            return dict(failure='failed').get(reason, reason)
    return []


def _made_by(results: list[dict]) -> dict:
    """Lengths of the trainings, commits, machines and versions, each once."""
    trained = [result['training'] for result in results if 'training' in result]
    lengths = {(part['iterations'], part['batch_size']) for part in trained}
    versions = [
        ', '.join(f'{name} {number}' for name, number in result['versions'].items())
        for result in results
    ]
    return dict(
        lengths=sorted(map(list, lengths)),
        commits=sorted({result['commit'] for result in results} - {''}),
        machines=sorted({result['machine'] for result in results}),
        versions=sorted({*versions}),
    )


def _cell(values: list | str | None, wanted: int, digits: int) -> str:
    """Mean ± deviation (n - 1), and how many of the seeds where not all."""
    if values is None:
        return NOT_APPLICABLE
    if not isinstance(values, list):
        return values
    if not values:
        return NOT_RUN
    text = f'{statistics.fmean(values):.{digits}f}'
    if len(values) > 1:
        text += f' ± {statistics.stdev(values):.{digits}f}'
    return text if len(values) == wanted else f'{text} ({len(values)} of {wanted})'


def table(report: dict) -> str:
    """The rows as a Markdown table."""
    columns = {**report['columns'], COST: 'cost (s)'}
    lines = [f'| method | {" | ".join(columns.values())} |']
    lines.append('|---|' + '---:|' * len(columns))
    for row in report['rows']:
        cells = [
            _cell(row['values'][name], len(row['seeds']), 0 if name == COST else 1)
            for name in columns
        ]
        lines.append(f'| {row["title"]} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def differences(report: dict) -> str:
    """Each method less the reference, seed by seed, as a Markdown table; or ''.

    Rows and cells that have not a value for each of the same two or more seeds are left
    out.
    """
    by_name = {row['method']: row for row in report['rows']}
    reference = by_name.get(report.get('reference'))
    if reference is None:
        return ''
    lines = []
    for row in report['rows']:
        cells = [_difference(row, reference, name) for name in report['columns']]
        if row is not reference and any(cells):
            texts = [cell or NOT_APPLICABLE for cell in cells]
            lines.append(f'| {row["title"]} | {" | ".join(texts)} |')
    if not lines:
        return ''
    titles = ' | '.join(report['columns'].values())
    head = [
        f'Difference to {reference["title"]}, seed by seed; mean ± standard deviation:',
        '',
        f'| method | {titles} |',
        '|---|' + '---:|' * len(report['columns']),
    ]
    return '\n'.join([*head, *lines]) + '\n'


def _difference(row: dict, reference: dict, name: str) -> str:
    ours, theirs = row['values'][name], reference['values'][name]
    both = isinstance(ours, list) and isinstance(theirs, list)
    if not both or row['seeds'] != reference['seeds'] or len(ours) < 2:
        return ''
    if not len(ours) == len(theirs) == len(row['seeds']):
        return ''
    found = [a - b for a, b in zip(ours, theirs)]
    return f'{statistics.fmean(found):+.1f} ± {statistics.stdev(found):.1f}'


def document(report: dict) -> str:
    """The tables with what it needs to understand and to reproduce them."""
    images = dict(val='images for validation', test='test images')[report['split']]
    text = _ACCURACY.format(images=images)
    if any(name.endswith(_BALANCED) for name in report['columns']):
        text += '; balanced: the mean over the classes of the accuracy of each'
    if 'mIoU' in report['columns']:
        text += (
            '; box AP, mask AP and mIoU in percent, of the '
            f'{report["scenes"]} validation scenes composed of test images'
        )
    rows, reported = report['rows'], report['reported']
    lengths = sorted({tuple(each) for row in rows for each in row['lengths']})
    commits = sorted({each for row in rows for each in row['commits']})
    seeds = ', '.join(map(str, report['seeds']))
    lines = [
        f'# {report["title"]}',
        '',
        f'{text}; mean ± standard deviation (n − 1) over the seeds {seeds}.',
        _COST,
        '',
        table(report),
        *filter(None, [differences(report)]),
        *(f'- {n} iterations of {size} images' for n, size in lengths),
        f'- runs made at commit {", ".join(commits) or "?"}',
    ]
    for key in ('machines', 'versions'):
        lines += [f'- {each}' for each in sorted({e for row in rows for e in row[key]})]
    lines.append(
        f'- reported by `{reported["command"]}` at {reported["commit"] or "?"}, '
        f'{reported["date"]}'
    )
    return '\n'.join(lines) + '\n'


def dump(report: dict) -> str:
    """The report as JSON, one line a row."""
    head = json.dumps(dict(report, rows=None), indent=1, ensure_ascii=False)
    rows = ',\n'.join(
        f'  {json.dumps(row, ensure_ascii=False)}' for row in report['rows']
    )
    return head.replace('"rows": null', f'"rows": [\n{rows}\n ]') + '\n'


def write(report: dict, stem: Path) -> list[Path]:
    """Write ``.md``, ``.json`` and ``.png``; returns the files."""
    files = [stem.with_name(stem.name + suffix) for suffix in ('.md', '.json', '.png')]
    write_atomically(files[0], document(report))
    write_atomically(files[1], dump(report))
    draw_costs(report['rows'], report['columns'], files[2])
    return files

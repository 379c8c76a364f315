"""Means and standard deviations over seeds: tables, compact JSON, plot.

A report is a dict: ``title``, ``split``, ``seeds``, ``columns`` (name to title),
``reference``, ``scenes``, ``reported`` (command, commit, date) and ``rows``. A row has
``method``, ``title``, ``seeds``, ``made`` (how, when and where, as text) and
``values``: by column, a list with one number per seed, or a word such as 'not run'.
"""

from pathlib import Path
from statistics import fmean, stdev

from benchmarks.comparison.plan import Benchmark
from benchmarks.comparison.runs import Run
from benchmarks.provenance import dump_rows
from demo.scenes import SceneSettings
from mmlgd.utils.atomic import write_atomically
from mmlgd.visualization import draw_costs

NOT_RUN, NOT_APPLICABLE = 'not run', '–'
COST = 'cost'
_BALANCED = '_balanced'
#: Columns of the transfer to scenes, and their titles.
TRANSFER = dict(box_ap='box AP', mask_ap='mask AP', mIoU='mIoU')


def _columns(benchmark: Benchmark, split: str) -> dict[str, tuple[str, list[str]]]:
    """Title of each column and the keys of its value, by name."""
    found = {}
    for name in benchmark.reported_on(split):
        parts = {name: (dict(zero_shot='zero-shot', knn='k-NN').get(name), [name])}
        if name == 'transfer':
            found |= {key: (text, [name, key]) for key, text in TRANSFER.items()}
            continue
        if name == 'probe':
            parts = {
                f'probe_{percent}': (f'probe {percent} %', [name, percent])
                for percent in benchmark.settings['probe']['percentages']
            }
        for column, (text, keys) in parts.items():
            found[column] = (text, [*keys, 'top1'])
            found[column + _BALANCED] = (f'{text}, balanced', [*keys, 'balanced'])
    return found


def collect(benchmark: Benchmark, split: str, reported: dict) -> dict:
    """The report on the results of a benchmark on disk; for its form see the module.

    Columns of class-balanced accuracy are omitted if they equal top-1 accuracy because
    all classes have the same number of images.
    """
    columns, rows = _columns(benchmark, split), []
    for method in benchmark.methods.values():
        seeds = benchmark.seeds_of(method)
        results = [Run(benchmark, method, seed).result(split) for seed in seeds]
        values = {
            column: _values(results, keys, keys[0] in method.skip)
            for column, (_, keys) in columns.items()
        }
        values[COST] = NOT_APPLICABLE if method.role != 'student' else _costs(results)
        made = sorted({each for result in results for each in _made(result)})
        told = dict(method=method.name, title=method.title, seeds=[*seeds], made=made)
        rows.append(dict(told, values=values))
    pairs = {name: name.removesuffix(_BALANCED) for name in columns}
    if all(
        row['values'][a] == row['values'][b] for row in rows for a, b in pairs.items()
    ):
        columns = {name: columns[name] for name in pairs.values()}
    for row in rows:
        row['values'] = {name: row['values'][name] for name in [*columns, COST]}
    scenes = SceneSettings(**benchmark.settings['transfer']['scenes'])
    return dict(
        title=benchmark.title,
        split=split,
        seeds=[*benchmark.seeds],
        columns={name: text for name, (text, _) in columns.items()},
        reference=benchmark.reference,
        scenes=scenes.num_val,
        reported=reported,
        rows=rows,
    )


def _values(results: list[dict], keys: list[str], skipped: bool) -> list | str:
    evaluations = [result.get('evaluations', {}) for result in results]
    found = [each[keys[0]] for each in evaluations if keys[0] in each]
    if skipped or None in found:
        return NOT_APPLICABLE
    for key in keys[1:]:
        found = [value[key] for value in found]
    return found or _why_not(results)


def _costs(results: list[dict]) -> list | str:
    """Cost of the training, plus that of the method's preparation in every run."""
    found = [result['training'] for result in results if 'training' in result]
    seconds = [each['cpu_seconds'] + each['preparation_seconds'] for each in found]
    return [round(each, 2) for each in seconds] or _why_not(results)


def _why_not(results: list[dict]) -> str:
    found = {word for each in results for word in ('failed', 'stale') if word in each}
    return min(found, default=NOT_RUN)


def _made(result: dict) -> list[str]:
    if 'inputs' not in result:
        return []
    versions = ', '.join(f'{name} {v}' for name, v in result['versions'].items())
    found = [f'commit {result["commit"] or "?"}', result['machine'], versions]
    if 'training' in result:
        length, batch = (result['training'][k] for k in ('iterations', 'batch_size'))
        found.append(f'{length} iterations of {batch} images')
    return found


def _cell(values: list | str, wanted: int, digits: int) -> str:
    """Mean ± standard deviation (n - 1); with the number of seeds if incomplete."""
    if not isinstance(values, list):
        return values
    text = f'{fmean(values):.{digits}f}'
    if len(values) > 1:
        text += f' ± {stdev(values):.{digits}f}'
    return text if len(values) == wanted else f'{text} ({len(values)} of {wanted})'


def _markdown(titles: list[str], rows: dict[str, list[str]]) -> str:
    lines = [f'| method | {" | ".join(titles)} |', '|---|' + '---:|' * len(titles)]
    lines += [f'| {title} | {" | ".join(cells)} |' for title, cells in rows.items()]
    return '\n'.join(lines) + '\n'


def table(report: dict) -> str:
    """The rows as a Markdown table."""
    columns = {**report['columns'], COST: 'cost (s)'}
    rows = {
        row['title']: [
            _cell(row['values'][name], len(row['seeds']), 0 if name == COST else 1)
            for name in columns
        ]
        for row in report['rows']
    }
    return _markdown([*columns.values()], rows)


def differences(report: dict) -> str:
    """Paired differences of each method to the reference, as a Markdown table.

    A cell has no value unless both methods have values for the same two or more seeds.
    Rows without values are omitted. Returns '' if no row remains.
    """
    by_name = {row['method']: row for row in report['rows']}
    reference = by_name.pop(report['reference'], None)
    rows = {}
    for row in by_name.values() if reference else ():
        cells = [_difference(row, reference, name) for name in report['columns']]
        if any(cells):
            rows[row['title']] = [cell or NOT_APPLICABLE for cell in cells]
    if not rows:
        return ''
    head = f'Less {reference["title"]}, seed by seed; mean ± standard deviation:\n\n'
    return head + _markdown([*report['columns'].values()], rows)


def _difference(row: dict, reference: dict, name: str) -> str:
    ours, theirs, seeds = row['values'][name], reference['values'][name], row['seeds']
    both = isinstance(ours, list) and isinstance(theirs, list)
    if not both or seeds != reference['seeds'] or len(seeds) < 2:
        return ''
    if not len(ours) == len(theirs) == len(seeds):
        return ''
    found = [a - b for a, b in zip(ours, theirs)]
    return f'{fmean(found):+.1f} ± {stdev(found):.1f}'


def document(report: dict) -> str:
    """The tables, with the information to understand and reproduce them."""
    images = dict(val='validation images', test='test images')[report['split']]
    text = f'Top-1 accuracy in percent on the {images}'
    if any(name.endswith(_BALANCED) for name in report['columns']):
        text += '; balanced: mean of the accuracies of the classes'
    if 'mIoU' in report['columns']:
        text += '; box AP, mask AP and mIoU in percent on the '
        text += f'{report["scenes"]} validation scenes composed of test images'
    text += '; mean ± standard deviation (n − 1) over the seeds '
    text += ', '.join(map(str, report['seeds']))
    made = sorted({each for row in report['rows'] for each in row['made']})
    reported = report['reported']
    lines = [
        f'# {report["title"]}\n',
        f'{text}.',
        'Cost: CPU time of a training on one thread (teacher, student, data, and the '
        "method's preparation).\n",
        *filter(None, [table(report), differences(report)]),
        *(f'- {each}' for each in made),
        f'- reported by `{reported["command"]}` at {reported["commit"] or "?"}, '
        f'{reported["date"]}\n',
    ]
    return '\n'.join(lines)


def write(report: dict, stem: Path) -> list[Path]:
    """Write ``.md``, ``.json`` and ``.png``; return the files."""
    files = [stem.with_name(stem.name + suffix) for suffix in ('.md', '.json', '.png')]
    write_atomically(files[0], document(report))
    write_atomically(files[1], dump_rows(report))
    draw_costs(report['rows'], report['columns'], files[2])
    return files

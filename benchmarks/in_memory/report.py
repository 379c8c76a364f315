"""Tables and curves of a result of benchmarks.in_memory."""

import statistics
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.comparison.report import TRANSFER

METRICS = dict(zero_shot='zero-shot', knn='k-NN', probe='probe')
#: What the cost of a row includes; results without the entry are older.
COST = 'views, teacher and student'
_COSTS = {
    COST: f'{COST}. Those of LightlyTrain and of the supervised training, which run by '
    'themselves, also include decoding and set-up',
    None: 'the student; for BINGO and the dense term the teacher, too',
}
#: Colours and markers of the curves.
_COLOURS, _MARKERS = 10, 'osD'


def report(result: dict, reference: str) -> str:
    """Tables in Markdown: mean and deviation, and differences paired by seed."""
    metrics = _metrics(result)
    has_reference = any(row['method'] == reference for row in result['rows'])
    paired = f' In brackets: {reference} minus the method, paired by seed.'
    lines = [
        f'# {result["title"]}',
        '',
        f'{result["images"]:,} unlabeled images, accuracy in percent on the '
        f'{result["split"]} images: mean ± standard deviation (n - 1) over the seeds.'
        f'{paired if has_reference else ""} Cost: CPU time of a '
        f'training: {_COSTS[result.get("cost")]}.',
        '',
        '| method | passes | seeds | ' + ' | '.join(metrics.values()) + ' | cost (s) |',
        '|---|---:|---:|' + '---:|' * (len(metrics) + 1),
    ]
    rows = {(r['method'], r['passes'], r['seed']): r for r in result['rows']}
    for (method, passes), found in _groups(result):
        cells = []
        for metric in metrics:
            if any(metric not in row for row in found):
                cells.append('–')
                continue
            values = [row[metric] for row in found]
            others = [rows.get((reference, passes, row['seed']), {}) for row in found]
            gaps = [
                other[metric] - row[metric]
                for row, other in zip(found, others)
                if method != reference and metric in other
            ]
            cells.append(_spread(values) + (f' ({_spread(gaps)})' if gaps else ''))
        costs = [row['cost'] for row in found if row.get('cost')]
        cells.append(f'{statistics.mean(costs):.0f}' if costs else '–')
        lines.append(
            f'| {method} | {passes} | {len(found)} | ' + ' | '.join(cells) + ' |'
        )
    origin = result['provenance']
    commits = {row.get('commit', origin['commit'])[:8]: None for row in result['rows']}
    lines += ['', f'- {origin["machine"]}; commit {", ".join(commits)}']
    lines += [f'- last call: `{origin["command"]}`', '']
    return '\n'.join(lines)


def draw(result: dict, path: Path) -> None:
    """Curves of accuracy against cost: one point for each number of passes.

    Bars are standard deviations over the seeds.
    """
    metrics = _metrics(result)
    figure = Figure(figsize=(4.2 * len(metrics), 4.6), layout='constrained')
    methods = list(dict.fromkeys(row['method'] for row in result['rows']))
    for axis, (metric, title) in zip(
        figure.subplots(1, len(metrics), squeeze=False).flat, metrics.items()
    ):
        for number, method in enumerate(methods):
            points = _points(result, method, metric)
            if len(points) == 1 and not points[0][0]:  # without training
                axis.axhline(points[0][1], color='gray', ls='--')
                axis.annotate(
                    method,
                    (0.02, points[0][1]),
                    xycoords=('axes fraction', 'data'),
                    va='bottom',
                    color='gray',
                )
            elif points:
                costs, means, deviations = zip(*points)
                axis.errorbar(
                    costs,
                    means,
                    deviations,
                    color=f'C{number % _COLOURS}',
                    marker=_MARKERS[number // _COLOURS % len(_MARKERS)],
                    capsize=3,
                    label=method,
                )
        axis.set(title=title, xlabel='training cost (s of one core)', ylabel='%')
        axis.set_xscale('log')
        axis.grid(alpha=0.3)
        axis.spines[['top', 'right']].set_visible(False)
    # The method without names has no curve zero-shot.
    drawn: dict[str, object] = {}
    for axis in figure.axes:
        handles, labels = axis.get_legend_handles_labels()
        drawn |= dict(zip(labels, handles))
    figure.legend(
        drawn.values(), drawn, loc='outside lower center', ncols=4, frameon=False
    )
    figure.savefig(path, dpi=110)


def _points(result: dict, method: str, metric: str) -> list[tuple[float, float, float]]:
    """Mean cost, mean and deviation of the accuracy, for each number of passes."""
    points = []
    for (name, _), found in _groups(result):
        costs = [row['cost'] for row in found if 'cost' in row]
        if name == method and costs and all(metric in row for row in found):
            values = [row[metric] for row in found]
            deviation = statistics.stdev(values) if len(values) > 1 else 0.0
            points.append((statistics.mean(costs), statistics.mean(values), deviation))
    return points


def _metrics(result: dict) -> dict[str, str]:
    """Titles of what was measured for any row."""
    measured = set[str]().union(*result['rows'])
    return {n: title for n, title in (METRICS | TRANSFER).items() if n in measured}


def _groups(result: dict) -> list[tuple[tuple[str, int], list[dict]]]:
    """Rows of each method and number of passes, sorted by passes, method and seed."""
    found: dict[tuple[str, int], list[dict]] = {}
    for row in sorted(result['rows'], key=lambda row: row['seed']):
        found.setdefault((row['method'], row['passes']), []).append(row)
    return sorted(found.items(), key=lambda group: (group[0][1], group[0][0]))


def _spread(values: list[float]) -> str:
    mean = f'{statistics.mean(values):.1f}'
    return f'{mean} ± {statistics.stdev(values):.1f}' if len(values) > 1 else mean

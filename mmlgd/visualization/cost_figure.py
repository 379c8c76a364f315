"""Accuracy of distillation methods against what their training costs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

_COLUMNS = 2


def draw_costs(
    rows: Sequence[Mapping], titles: Mapping[str, str], path: str | Path
) -> None:
    """Draw one panel a measure: a point a run, and a method's mean with its name.

    Methods without a training are drawn as lines across.

    Args:
        rows (Sequence[Mapping]): One a method: ``title`` and ``measures``, by name a
            dict with ``mean`` and ``values``, or anything else where nothing is
            known; ``cpu_seconds`` is the cost in seconds.
        titles (Mapping[str, str]): Title of each measure that is drawn, by name.
        path (str | Path): File to write, in a format that matplotlib writes.
    """
    count = max(1, len(titles))
    lines = -(-count // _COLUMNS)
    figure = Figure(figsize=(11, 3.8 * lines), layout='constrained')
    axes = figure.subplots(lines, _COLUMNS, squeeze=False).flat
    for axis, (name, title) in zip(axes, titles.items()):
        for number, row in enumerate(rows):
            value, cost = row['measures'].get(name), row['measures'].get('cpu_seconds')
            if not isinstance(value, Mapping):
                continue
            colour = f'C{number % 10}'
            if not isinstance(cost, Mapping):
                axis.axhline(value['mean'], color=colour, linestyle=':')
                axis.annotate(
                    row['title'],
                    (1, value['mean']),
                    xycoords=('axes fraction', 'data'),
                    ha='right',
                    va='bottom',
                    color=colour,
                    fontsize=8,
                )
                continue
            pairs = list(zip(cost['values'], value['values']))
            axis.scatter(*zip(*pairs), s=12, color=colour, alpha=0.5)
            axis.scatter(cost['mean'], value['mean'], s=60, color=colour, marker='D')
            axis.annotate(
                row['title'],
                (cost['mean'], value['mean']),
                xytext=(6, 5),
                textcoords='offset points',
                color=colour,
                fontsize=8,
            )
        axis.set(title=title, xlabel='training cost (s of one core)', ylabel='%')
        axis.margins(0.15)
        axis.spines[['top', 'right']].set_visible(False)
        axis.grid(alpha=0.3)
    for axis in list(axes):
        axis.set_visible(False)
    figure.savefig(path, dpi=110)

"""Accuracy of distillation methods against their training cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_COLUMNS = 2
_COLOURS = 10
_MARKERS = 'oDs^v'


def draw_costs(
    rows: Sequence[Mapping], titles: Mapping[str, str], path: str | Path
) -> None:
    """Draw one panel per measure: small points for runs and a large one for their mean.

    Methods without training are drawn as horizontal lines. Measures without values have
    no panel.

    Args:
        rows (Sequence[Mapping]): One per method, with ``title`` and ``values``. Each of
            the ``values`` is a list of numbers, or anything else if unknown; ``cost`` is
            the cost in seconds.
        titles (Mapping[str, str]): Title of each measure, by name.
        path (str | Path): Output file, in a format that matplotlib supports.
    """
    drawn = [name for name in titles if any(_numbers(row, name) for row in rows)]
    lines = max(1, -(-len(drawn) // _COLUMNS))
    figure = Figure(figsize=(11, 3.8 * lines + 1), layout='constrained')
    axes = list(figure.subplots(lines, _COLUMNS, squeeze=False).flat)
    found = {}
    for name, axis in zip(drawn, axes):
        _draw_panel(axis, name, rows)
        axis.set(title=titles[name], xlabel='training cost (s of one core)', ylabel='%')
        for artist, label in zip(*axis.get_legend_handles_labels()):
            found[label] = artist
    for axis in axes[len(drawn) :]:
        axis.set_visible(False)
    labels = [row['title'] for row in rows if row['title'] in found]
    handles = [found[label] for label in labels]
    figure.legend(handles, labels, loc='outside lower center', ncols=4, frameon=False)
    figure.savefig(path, dpi=110)


def _numbers(row: Mapping, name: str) -> list[float]:
    found = row['values'].get(name)
    return found if isinstance(found, list) else []


def _draw_panel(axis: Axes, name: str, rows: Sequence[Mapping]) -> None:
    for number, row in enumerate(rows):
        value, cost = _numbers(row, name), _numbers(row, 'cost')
        if not value:
            continue
        colour = f'C{number % _COLOURS}'
        if not cost:
            style = '--' if number < _COLOURS else ':'
            axis.axhline(fmean(value), color=colour, ls=style, label=row['title'])
            continue
        marker = _MARKERS[number // _COLOURS % len(_MARKERS)]
        # If the counts differ, the pairs of cost and value are unknown.
        if len(cost) == len(value):
            axis.scatter(cost, value, s=12, color=colour, marker=marker, alpha=0.5)
        axis.scatter(
            fmean(cost),
            fmean(value),
            s=60,
            color=colour,
            marker=marker,
            label=row['title'],
        )
    axis.margins(0.1)
    axis.spines[['top', 'right']].set_visible(False)
    axis.grid(alpha=0.3)

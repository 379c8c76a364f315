"""A figure of logged scalars, one panel for each."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

_COLUMNS = 3


def draw_curve_figure(
    runs: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
    keys: Sequence[str],
    path: str | Path,
    x_label: str = 'iteration',
) -> None:
    """Draw one panel per scalar, with a line per run.

    Args:
        runs (Mapping[str, Mapping]): For each run, the points (x, y) of each scalar.
        keys (Sequence[str]): The scalars.
        path (str | Path): Output file, in a format that matplotlib supports.
        x_label (str): Label of the x axes. Defaults to 'iteration'.
    """
    columns = min(_COLUMNS, len(keys))
    rows = -(-len(keys) // columns)
    figure = Figure(figsize=(4.2 * columns, 3 * rows + 0.4), layout='constrained')
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    handles = {}
    for key, axis in zip(keys, axes):
        for number, (name, curves) in enumerate(runs.items()):
            if curves.get(key):
                (handles[name],) = axis.plot(
                    *zip(*curves[key]), color=f'C{number % 10}'
                )
        axis.set_title(key, fontsize=10)
        axis.set_xlabel(x_label)
        axis.spines[['top', 'right']].set_visible(False)
        axis.grid(alpha=0.3)
    for axis in axes[len(keys) :]:
        axis.set_visible(False)
    if len(runs) > 1:
        figure.legend(handles.values(), handles.keys(), loc='outside lower center')
    figure.savefig(path, dpi=110)

"""Charts as SVG whose colours are those of the page, light or dark."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .run_log import Points

#: Colours of the page: `--s0` and following are of the runs.
NUM_COLOURS = 6
# Matplotlib cannot draw CSS variables: these colours stand for them.
_INK, _RULE = '#010101', '#020202'
_SERIES = [f'#0303{number:02x}' for number in range(NUM_COLOURS)]
_VARIABLES = {
    _INK: 'var(--muted)',
    _RULE: 'var(--rule)',
    **{colour: f'var(--s{number})' for number, colour in enumerate(_SERIES)},
}
_STYLE: Any = {
    'svg.fonttype': 'none',
    'svg.hashsalt': 'mmlgd',
    'font.size': 9,
    'text.color': _INK,
    'axes.edgecolor': _RULE,
    'axes.facecolor': 'none',
    'axes.labelcolor': _INK,
    'axes.spines.right': False,
    'axes.spines.top': False,
    'axes.grid': True,
    'grid.color': _RULE,
    'grid.linewidth': 0.6,
    'xtick.color': _INK,
    'ytick.color': _INK,
    'figure.facecolor': 'none',
}
# What matplotlib writes for a file of its own: the page has its size and fonts, and an
# id must be unique in it, except those of equal content, which are hashes.
_UNUSED = [
    re.compile(r'<metadata>.*?</metadata>', re.DOTALL),
    re.compile(r'<defs>\s*<style.*?</style>\s*</defs>', re.DOTALL),
    re.compile(r' (?:width|height)="[\d.]+pt"'),
    re.compile(r' id="(?![mp][0-9a-f]{10}")[^"]*"'),
    re.compile(r'font-family: [^;]*; '),
]
#: Colour (index of the run), whether the line is dashed, and its points.
Line = tuple[int, bool, Points]


def draw_curves(lines: Sequence[Line], label: str) -> Markup:
    """Draw lines over the iterations.

    Args:
        lines (Sequence[Line]): Those without points are omitted.
        label (str): Description for screen readers.

    Returns:
        Markup: An SVG element. It contains no text but numbers and ``label``, escaped.
    """

    def draw(axis: Axes) -> None:
        for colour, dashed, points in lines:
            axis.plot(
                *zip(*points),
                color=_SERIES[colour % NUM_COLOURS],
                linestyle='--' if dashed else '-',
                linewidth=1.6,
                marker='o' if len(points) < 12 else None,
                markersize=3,
            )
        axis.margins(x=0.02, y=0.1)
        axis.set_xlabel('iteration')

    return _draw(draw, (3.6, 2.3), label)


def draw_reliability(
    bins: Sequence[Sequence[float]], colour: int, label: str
) -> Markup:
    """Draw a reliability diagram; the area of a point is its number of images.

    Args:
        bins (Sequence[Sequence[float]]): See
            :func:`~mmlgd.evaluation.calibration.reliability_bins`.
        colour (int): Index of the run.
        label (str): Description for screen readers.
    """
    filled = [each for each in bins if each[0]]
    total = sum(each[0] for each in filled) or 1

    def draw(axis: Axes) -> None:
        axis.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle=':')
        counts, confidences, right = zip(*filled) if filled else ((), (), ())
        colour_ = _SERIES[colour % NUM_COLOURS]
        axis.plot(confidences, right, color=colour_, linewidth=1.2)
        sizes = [20 + 300 * count / total for count in counts]
        axis.scatter(
            confidences, right, s=sizes, color=colour_, alpha=0.75, clip_on=False
        )
        axis.set(xlim=(0, 1), ylim=(0, 1), xlabel='confidence', ylabel='right')
        axis.set_aspect('equal')

    return _draw(draw, (2.9, 2.9), label)


def _draw(
    draw: Callable[[Axes], None], size: tuple[float, float], label: str
) -> Markup:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size)
        # Fixed margins, in inches: matplotlib's layouts draw everything twice.
        left, low, right, top = 0.65, 0.45, 0.2, 0.2  # with room for a power of ten
        figure.subplots_adjust(
            left / size[0], low / size[1], 1 - right / size[0], 1 - top / size[1]
        )
        draw(figure.subplots())
        file = io.StringIO()
        figure.savefig(file, format='svg', metadata=dict(Date=None, Creator=None))
    text = file.getvalue()
    text = text[text.index('<svg') :]
    for pattern in _UNUSED:
        text = pattern.sub('', text)
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, variable)
    head = Markup('<svg role="img" aria-label="{}"').format(label)
    return Markup(text.replace('<svg', head, 1))

"""The report as one HTML file that needs no network."""

import base64
import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mmlgd.utils.atomic import write_atomically
from mmlgd.version import __version__

from .charts import NUM_COLOURS
from .collect import Run
from .names import bank_maps, calibration_charts, name_table, never_hit
from .views import learning_curves, overview

#: Maps of more names show a name only when it is searched.
_MAX_LABELS = 40


def write_report(runs: Sequence[Run], path: str | Path) -> None:
    """Write the report of one run, or of several side by side.

    The page contains everything it shows. Texts from the runs are escaped, and a content
    security policy allows only the page's own script.

    Args:
        runs (Sequence[Run]): See :func:`~mmlgd.report.collect_run`.
        path (str | Path): The HTML file.

    Raises:
        OSError: It cannot be written.
    """
    # Bytes of file names that are not UTF-8 are lone surrogates.
    write_atomically(path, render(runs).encode('utf-8', 'backslashreplace'))


def render(runs: Sequence[Run]) -> str:
    """The report as HTML."""
    environment = Environment(
        loader=PackageLoader('mmlgd.report'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters['shown'] = _shown
    script, style = (_source(environment, name) for name in ('page.js', 'page.css'))
    digest = hashlib.sha256(script.encode()).digest()
    names, columns = name_table(runs)
    return environment.get_template('page.html').render(
        version=__version__,
        script=Markup(script),
        script_hash=base64.b64encode(digest).decode(),
        style=Markup(style),
        runs=[_run_view(run, index) for index, run in enumerate(runs)],
        several=len(runs) > 1,
        overview=overview(runs),
        curves=learning_curves(runs),
        names=names,
        columns=columns,
        num_colours=NUM_COLOURS,
        max_labels=_MAX_LABELS,
        differences=[_difference(runs[0], run) for run in runs[1:]],
    )


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _run_view(run: Run, index: int) -> dict[str, Any]:
    return dict(
        title=run.title,
        folder=str(run.folder),
        notes=run.notes,
        sample=run.sample,
        never_hit=never_hit(run),
        maps=bank_maps(run),
        calibration=calibration_charts(run, index),
        config=run.config,
        environment=run.environment,
    )


def _difference(first: Run, other: Run) -> tuple[str, str]:
    """Title of a run, and how its config differs from that of the first."""
    lines = difflib.unified_diff(
        first.config.splitlines(),
        other.config.splitlines(),
        first.title,
        other.title,
        n=2,
        lineterm='',
    )
    return other.title, '\n'.join(lines)


def _shown(value: Any) -> str:
    """A value of the table of names."""
    if value is None:
        return ''
    if isinstance(value, int):
        return f'{value:,}'
    return f'{value:.1f}' if isinstance(value, float) else value

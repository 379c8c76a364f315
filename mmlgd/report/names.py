"""What a report shows name by name: a table, maps of the banks, and calibration."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mmlgd.evaluation.calibration import expected_calibration_error

from .charts import draw_reliability
from .collect import Run
from .maps import align_points, nearest_names, project_rows
from .views import Chart


@dataclass
class Column:
    """A column of the table of names.

    Attributes:
        title (str): Its head.
        run (int, optional): Index of its run, if there are several.
        help (str): Explanation of the values.
        values (dict[str, Any]): Value of each name: a number or a text.
    """

    title: str
    run: int | None
    help: str
    values: dict[str, Any]


@dataclass
class Point:
    """A name in a map; the coordinates are in [0, 1], ``y`` downwards.

    Attributes:
        value (float, optional): Share of right answers, or of agreement, in [0, 1].
        hint (str): Its nearest names.
    """

    name: str
    x: float
    y: float
    value: float | None
    hint: str


@dataclass
class Map:
    """A map of a bank.

    Attributes:
        share (float): Share of the variance that it shows.
    """

    title: str
    points: list[Point]
    share: float


def name_table(runs: Sequence[Run]) -> tuple[list[str], list[Column]]:
    """All names, and the columns with a value for any of them."""
    names: dict[str, None] = {}
    columns: list[Column] = []
    for index, run in enumerate(runs):
        names.update(dict.fromkeys(row['name'] for row in run.classes))
        for part in (run.sample, run.banks):
            names.update(dict.fromkeys(part.names if part else ()))
        columns += _columns(run, None if len(runs) == 1 else index)
    filled = [column for column in columns if any_value(column)]
    return list(names), filled


def any_value(column: Column) -> bool:
    """Whether a column has a value."""
    return any(value is not None for value in column.values.values())


def _columns(run: Run, index: int | None) -> list[Column]:
    """All columns of a single run; those to be compared of one of several."""

    def column(title: str, explanation: str, pairs: Iterable) -> Column:
        return Column(title, index, explanation, dict(pairs))

    classes, sample = run.classes, run.sample
    accuracy = [
        column(
            f'{who} %',
            f'zero-shot accuracy of the {who}: share of the images of the name',
            ((row['name'], row[who]) for row in classes),
        )
        for who in ('student', 'teacher')
    ]
    agreement = column(
        'agreement %',
        'of the images in the sample to which the teacher assigns the name, those to '
        'which the student assigns it, too',
        _agreement(run).items(),
    )
    if index is not None:
        return [*(accuracy if index == 0 else accuracy[:1]), agreement]
    images = column(
        'images', 'labelled images', ((row['name'], row['images']) for row in classes)
    )
    gap = column(
        'gap',
        'student minus teacher, in points',
        ((row['name'], _minus(row['student'], row['teacher'])) for row in classes),
    )
    assigned = column(
        'by teacher',
        'images of the sample to which the teacher assigns the name',
        zip(sample.names, sample.teacher_counts) if sample else (),
    )
    chosen = column(
        'by student',
        'images of the sample to which the student assigns the name',
        zip(sample.names, sample.student_counts) if sample else (),
    )
    counts = [agreement, assigned, chosen]
    return [images, *accuracy, gap, *counts, *_bank_columns(run, column)]


def _bank_columns(run: Run, column: Callable[..., Column]) -> list[Column]:
    banks, found = run.banks, []
    if banks is None:
        return []
    if banks.seen is not None:
        hits = ['yes' if hit else 'never' for hit in banks.seen.tolist()]
        title = 'whether an image was ever assigned to the name in the training'
        found.append(column('hit', title, zip(banks.names, hits)))
    for bank in ('textual', 'visual'):
        title = f'most similar names in the {bank} bank, with their cosine'
        near = f'nearest, {bank}'
        found.append(column(near, title, _neighbours(run, bank).items()))
    return found


def _neighbours(run: Run, bank: str) -> dict[str, str]:
    """The nearest names of each name in a bank, as a text."""
    names, rows = _used_rows(run, bank)
    if len(names) < 2:
        return {}
    texts = (
        ', '.join(f'{name} {cosine:.2f}' for name, cosine in row)
        for row in nearest_names(rows, names)
    )
    return dict(zip(names, texts))


def _used_rows(run: Run, bank: str) -> tuple[list[str], Any]:
    """Names and rows of a bank; of a visual bank without those never hit: noise."""
    banks = run.banks
    rows = None if banks is None else getattr(banks, bank)
    if banks is None or rows is None:
        return [], None
    if bank == 'textual' or banks.seen is None:
        return banks.names, rows
    names = [name for name, hit in zip(banks.names, banks.seen.tolist()) if hit]
    return names, rows[banks.seen]


def _agreement(run: Run) -> dict[str, float]:
    sample = run.sample
    if sample is None:
        return {}
    rows = zip(sample.names, sample.agreed, sample.teacher_counts)
    return {name: 100 * same / number for name, same, number in rows if number}


def _minus(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def never_hit(run: Run) -> list[str]:
    """Names to which no image was assigned in the training."""
    if run.banks is None or run.banks.seen is None:
        return []
    hits = run.banks.seen.tolist()
    return [name for name, hit in zip(run.banks.names, hits) if not hit]


def bank_maps(run: Run) -> list[Map]:
    """Maps of both banks; that of the visual bank is turned to match the textual one."""
    accuracy = {row['name']: row['student'] for row in run.classes}
    values = {name: value for name, value in accuracy.items() if value is not None}
    values = values or _agreement(run)
    maps: list[Map] = []
    first: dict[str, Any] = {}
    for bank in ('textual', 'visual'):
        names, rows = _used_rows(run, bank)
        if len(names) < 3:
            continue
        points, share = project_rows(rows)
        known = [i for i, name in enumerate(names) if name in first]
        if len(known) > 2:
            points = align_points(points, known, [first[names[i]] for i in known])
        first = first or dict(zip(names, points))
        low, high = points.min(dim=0).values, points.max(dim=0).values
        unit = (points - (low + high) / 2) / (high - low).max().clamp(min=1e-12) + 0.5
        near = _neighbours(run, bank)
        drawn = [
            Point(name, x, 1 - y, _share(values.get(name)), near.get(name, ''))
            for name, (x, y) in zip(names, unit.tolist())
        ]
        maps.append(Map(f'{bank} bank', drawn, share))
    return maps


def _share(percent: float | None) -> float | None:
    return None if percent is None else min(max(percent / 100, 0.0), 1.0)


def calibration_charts(run: Run, colour: int) -> list[Chart]:
    """Reliability diagrams of student and teacher, with their errors."""
    sample = run.sample
    if sample is None:
        return []
    against = 'the labels' if sample.correct == 'labels' else "the teacher's names"
    charts = []
    for who, bins in sample.calibration.items():
        error = 100 * expected_calibration_error(bins)
        note = f'ECE {error:.1f} % against {against}'
        chart = draw_reliability(bins, colour, f'reliability of the {who}: {note}')
        charts.append(Chart(who, chart, note))
    return charts

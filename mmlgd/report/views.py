"""Summary and learning curves of a report, from the data of its runs."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mmlgd.utils.field_checks import is_number

from .charts import Line, draw_curves
from .collect import Run

#: Logged values that are costs, not results.
_COSTS = ('time', 'data_time', 'memory', 'cpu_seconds', 'wall_seconds')
_MAX_CHARTS = 24
_TITLES = dict(lr='learning rate')


@dataclass
class Chart:
    """A chart with its heading."""

    title: str
    svg: Markup
    note: str = ''


def overview(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Rows of the summary: a label and a text for each run."""
    rows: dict[str, list[str]] = {}
    for index, run in enumerate(runs):
        for label, text in _facts(run):
            rows.setdefault(label, [''] * len(runs))[index] = text
    return list(rows.items())


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    log, sample, meta = run.log, run.sample, run.meta
    for who in ('student', 'teacher'):
        points = log.evaluation.get(f'zero_shot/{who}_top1')
        if points:
            yield f'zero-shot top-1, {who}', f'{points[-1][1]:.2f} %'
    if sample and sample.agreement:
        agreed, named = sample.agreement
        name, count = sample.commonest
        percent = f'{100 * agreed / named:.1f} %'
        yield 'same name as the teacher', f'{percent} of {sample.images:,} images'
        yield 'if all had one name', f'{100 * count / named:.1f} % ({name})'
    if sample and sample.cosine is not None:
        yield 'mean cosine to the teacher', f'{sample.cosine:.3f}'
    if run.banks and run.banks.seen is not None:
        seen, number = int(run.banks.seen.sum()), len(run.banks.names)
        yield 'categories hit', f'{seen:,} of {number:,}'
    entropy = log.training.get('assignment_entropy')
    if entropy:
        number = len(run.banks.names) if run.banks else 0
        most = f' of at most {math.log(number):.2f}' if number else ''
        yield 'assignment entropy', f'{entropy[-1][1]:.2f}{most} nats'
    if meta:
        yield 'teacher', meta.teacher or ''
        backbone = meta.backbone or {}
        options = [f'{key}={value}' for key, value in backbone.items() if key != 'type']
        yield 'student', ', '.join([str(backbone.get('type', '')), *options])[:200]
        yield 'version', f'mmlgd {meta.mmlgd_version}' if meta.mmlgd_version else ''
    images = run.training.get('images')
    yield 'training images', f'{images:,}' if is_number(images) else ''
    epochs = f', {log.epochs} epochs' if log.epochs else ''
    yield 'iterations logged', f'{log.iterations:,}{epochs}'
    yield from _costs(run)


def _costs(run: Run) -> Iterator[tuple[str, str]]:
    log, sample = run.log, run.sample
    yield 'time of the steps', duration(log.seconds) if log.seconds else ''
    if sample and sample.wall_seconds:
        yield 'time of the training', duration(sample.wall_seconds)
    if log.iterations and log.seconds:
        yield 'time of a step', f'{log.seconds / log.iterations:.3f} s'
        size, ranks = _batch(run)
        if size:
            speed = size * log.iterations / log.seconds
            yield 'speed', f'{speed:,.1f} images/s, {ranks}'
    waits = log.training.get('data_time')
    if waits and log.seconds:
        mean = sum(value for _, value in waits) / len(waits)
        share = 100 * mean * log.iterations / log.seconds
        yield 'waiting for data', f'{share:.0f} % of a step'
    memory = log.training.get('memory')
    if memory:
        yield 'device memory', f'{max(value for _, value in memory):,.0f} MB'
    if sample and sample.host_memory:
        yield 'host memory', f'{sample.host_memory:,} MB (main process)'


def _batch(run: Run) -> tuple[int, str]:
    """Images of a step and on how many ranks; 0 if not known."""
    size: Any = run.training.get('batch_size')
    ranks: Any = run.training.get('ranks')
    if is_number(size) and is_number(ranks):
        return int(size * ranks), f'{ranks} rank{"s" if ranks != 1 else ""}'
    loader = run.settings.get('train_dataloader')
    size = loader.get('batch_size') if isinstance(loader, dict) else None
    return (int(size), 'on each rank') if is_number(size) else (0, '')


def duration(seconds: float) -> str:
    """A time in hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f'{hours} h'] * bool(hours) + [f'{minutes} min'] * bool(hours or minutes)
    return ' '.join([*parts, *([] if hours else [f'{rest} s'])])


def learning_curves(runs: Sequence[Run]) -> list[Chart]:
    """Charts of everything that was logged, the losses first."""
    lines: dict[str, list[Line]] = {}
    for index, run in enumerate(runs):
        for key, points in run.log.training.items():
            if key not in _COSTS:
                lines.setdefault(key, []).append((index, False, points))
        for key, points in run.log.evaluation.items():
            if key not in _COSTS:
                # Student and teacher share a chart.
                dashed, joint = (
                    '/teacher_' in key,
                    key.replace('/teacher_', '/student_'),
                )
                lines.setdefault(joint, []).append((index, dashed, points))
    keys = sorted(lines, key=_chart_order)[:_MAX_CHARTS]
    return [
        Chart(
            _TITLES.get(key, key.replace('/student_', ' ').replace('_', ' ')),
            draw_curves(lines[key], f'{key} over the iterations'),
            'dashed: teacher' if any(dashed for _, dashed, _ in lines[key]) else '',
        )
        for key in keys
    ]


def _chart_order(key: str) -> tuple[int, str]:
    first = ('loss', 'lr', 'zero_shot/student_top1')
    if key in first:
        return first.index(key), key
    return (3 if key.startswith('loss') else 4 if '/' in key else 5), key

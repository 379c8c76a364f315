"""Reading of the scalars that mmengine logs in a work directory."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmlgd.utils.field_checks import is_number

#: Name of the folder of one start of a run.
_TIMESTAMP = re.compile(r'\d{8}_\d{6}(_\d+)?')
_MAX_BYTES = 64 * 2**20
#: Points of one curve; more could not be told apart in a chart.
MAX_POINTS = 400
#: What is logged beside the values of a training.
_COUNTERS = ('step', 'iter', 'epoch')

Points = list[tuple[float, float]]


@dataclass
class RunLog:
    """The logged scalars of a run.

    Attributes:
        training (dict[str, Points]): Curve of each scalar of the training, as pairs of
            iteration and value.
        evaluation (dict[str, Points]): The same of the evaluations.
        iterations (int): The last logged iteration.
        epochs (int): The last logged epoch; 0 if epochs are not counted.
        seconds (float): Sum of the logged step times, in seconds.
        notes (list[str]): What could not be read.
    """

    training: dict[str, Points] = field(default_factory=dict)
    evaluation: dict[str, Points] = field(default_factory=dict)
    iterations: int = 0
    epochs: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


def log_folders(work_dir: Path) -> list[Path]:
    """The folders of the starts of a run that logged scalars, oldest first."""
    found = work_dir.glob('*/vis_data/scalars.json')
    folders = [path.parents[1] for path in found if path.is_file()]
    return sorted(path for path in folders if _TIMESTAMP.fullmatch(path.name))


def read_run_log(
    folders: list[Path], iterations_per_epoch: float | None = None
) -> RunLog:
    """Read the scalars of all starts of a run.

    A resumed start replaces what was logged after the iteration at which it began. Lines
    that are not JSON objects, such as one cut off by a crash, are skipped, and counted in
    the notes. Values that are not finite numbers are skipped.

    Args:
        folders (list[Path]): See :func:`log_folders`.
        iterations_per_epoch (float, optional): Converts the epochs at which mmengine
            logs evaluations to iterations. Defaults to None: the iteration that was
            logged last before the evaluation.

    Raises:
        OSError: A file cannot be read.
    """
    log = RunLog()
    kept: list[tuple[float, bool, dict[str, float]]] = []
    for folder in folders:
        path = folder / 'vis_data/scalars.json'
        rows = list(_place(_read_rows(path, log.notes), iterations_per_epoch))
        training = [at for at, is_training, _ in rows if is_training]
        if training:
            kept = [row for row in kept if row[0] < min(training)]
        kept += rows
    last = 0.0
    for at, is_training, row in kept:
        curves = log.training if is_training else log.evaluation
        for key, value in row.items():
            points = curves.setdefault(key, [])
            # The evaluation after a training repeats that of its last epoch.
            if points and points[-1][0] == at:
                points.pop()
            points.append((at, float(value)))
        if is_training:
            log.seconds += max(at - last, 0) * row.get('time', 0)
            log.iterations, last = int(at), at
    epochs = log.training.pop('epoch', [])
    log.epochs = int(epochs[-1][1]) if epochs else 0
    for curves in (log.training, log.evaluation):
        for key in _COUNTERS:
            curves.pop(key, None)
        curves.update({key: thin_out(points) for key, points in curves.items()})
    return log


def thin_out(points: Points) -> Points:
    """At most ``MAX_POINTS`` of a curve's points, evenly spaced, with both ends."""
    if len(points) <= MAX_POINTS:
        return points
    scale = (len(points) - 1) / (MAX_POINTS - 1)
    return [points[round(index * scale)] for index in range(MAX_POINTS)]


def _read_rows(path: Path, notes: list[str]) -> list[dict[str, float]]:
    with open(path, 'rb') as file:
        text = file.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        notes.append(f'{path.parts[-3]}: only the first 64 MB of the log were read.')
        text = text[:_MAX_BYTES].rpartition(b'\n')[0]
    rows, broken = [], 0
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append({key: row[key] for key in row if is_number(row[key])})
        else:
            broken += bool(line.strip())
    if broken:
        notes.append(f'{path.parts[-3]}: {broken} broken line(s) of the log skipped.')
    return rows


def _place(
    rows: list[dict[str, float]], iterations_per_epoch: float | None
) -> Iterator[tuple[float, bool, dict[str, float]]]:
    """Iteration of each row, and whether it is of the training."""
    last = epoch = 0.0
    for row in rows:
        if 'iter' in row:
            last, epoch = row['iter'], row.get('epoch', 0.0)
            yield last, True, row
            continue
        step = row.get('step', 0.0)
        # mmengine counts evaluations in epochs or in iterations, and does not say which.
        if step and (step <= epoch or (not epoch and not last)):
            at = step * iterations_per_epoch if iterations_per_epoch else last
        else:
            at = step
        yield at, False, row

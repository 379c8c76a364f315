"""Collection of what a work directory contains of a run, as plain data.

Nothing that is read here is executed, and no file outside of the directory is opened.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mmlgd.errors import ConfigError, DataError, MMLGDError
from mmlgd.utils.checkpoint import read_checkpoint
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.config_text import read_config_text
from mmlgd.utils.field_checks import is_number, read_json_object

from .run_log import RunLog, log_folders, read_run_log
from .sample import Sample, read_sample

_MAX_TEXT = 200_000
_RULE = re.compile(r'-{60,}\n')


@dataclass
class Banks:
    """The banks of a checkpoint.

    Attributes:
        names (list[str]): The C names.
        textual (torch.Tensor, optional): (C, D).
        visual (torch.Tensor, optional): (C, D).
        seen (torch.Tensor, optional): Whether each row of ``visual`` was ever hit, (C,).
    """

    names: list[str]
    textual: torch.Tensor | None = None
    visual: torch.Tensor | None = None
    seen: torch.Tensor | None = None


@dataclass
class Run:
    """What is known of a run.

    Attributes:
        title (str): Name of the run in the report.
        folder (Path): The work directory.
        log (RunLog): Logged scalars.
        classes (list[dict]): Accuracy of each class, see ``ZeroShotAccuracy.per_class``.
        banks (Banks, optional): Of the latest checkpoint.
        sample (Sample, optional): Measurements of a sample of images.
        meta (CheckpointMeta, optional): Of the latest checkpoint.
        training (dict): Its record of the training, see
            :func:`~mmlgd.engine.training_record.training_record`.
        settings (dict): The config, if it is plain data.
        config (str): Text of the config.
        environment (str): Description of the environment in the log.
        notes (list[str]): What is missing or could not be read.
    """

    title: str
    folder: Path
    log: RunLog
    classes: list[dict] = field(default_factory=list)
    banks: Banks | None = None
    sample: Sample | None = None
    meta: CheckpointMeta | None = None
    training: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    config: str = ''
    environment: str = ''
    notes: list[str] = field(default_factory=list)


def collect_run(work_dir: str | Path, title: str | None = None) -> Run:
    """Read a work directory of a training run.

    Args:
        work_dir (str | Path): Folder with the folders of the log, such as
            ``20260101_120000``.
        title (str, optional): Name of the run. Defaults to None: that of the folder.

    Raises:
        ConfigError: The folder does not exist, or does not contain a log.
    """
    folder = Path(work_dir)
    starts = log_folders(folder) if folder.is_dir() else []
    if not starts:
        raise ConfigError(
            f'{work_dir} {_missing(folder)}; give the work dir of a training run, as in '
            'mmlgd report work_dirs/r50_mbv3.'
        )
    run = Run(title or folder.resolve().name, folder, RunLog())
    _read_texts(run, starts[-1])
    meta = _read_checkpoint(run)
    training: Any = meta.get('training')
    run.training = training if isinstance(training, dict) else {}
    per_epoch = _iterations_per_epoch(run, meta)
    run.classes, counted = _read_classes(run, starts)
    try:
        run.log = read_run_log(starts, per_epoch or counted)
        run.sample = read_sample(folder)
    except (OSError, DataError) as error:
        run.notes.append(str(error))
    run.notes += run.log.notes
    if run.sample and run.sample.doubt:
        run.notes.append(run.sample.doubt)
    return run


def latest_checkpoint(work_dir: Path) -> Path | None:
    """The training checkpoint that was written last, if any."""
    found = [*work_dir.glob('epoch_*.pth'), *work_dir.glob('iter_*.pth')]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _missing(folder: Path) -> str:
    if not folder.is_dir():
        return 'is not a folder'
    inner = [path.name for path in sorted(folder.glob('*/')) if log_folders(path)]
    hint = f' (but these in it do: {", ".join(inner[:5])})' if inner else ''
    return f'contains no <timestamp>/vis_data/scalars.json{hint}'


def _read_texts(run: Run, start: Path) -> None:
    run.config = _read_text(start / 'vis_data/config.py', run.notes)
    try:
        run.settings = read_config_text(run.config)
    except ValueError:  # a lazy config; its text is shown all the same
        pass
    log = _read_text(start / f'{start.name}.log', run.notes)
    parts = _RULE.split(log)
    run.environment = parts[1].strip() if len(parts) > 2 else ''


def _read_text(path: Path, notes: list[str]) -> str:
    try:
        with open(path, encoding='utf-8', errors='backslashreplace') as file:
            return file.read(_MAX_TEXT)
    except OSError as error:
        notes.append(f'{path.name} cannot be read: {error.strerror}.')
        return ''


def _read_checkpoint(run: Run) -> dict:
    path = latest_checkpoint(run.folder)
    if path is None:
        run.notes.append('There is no checkpoint, so banks and teacher are not shown.')
        return {}
    try:
        contents = read_checkpoint(path)
        run.meta = CheckpointMeta.from_meta(contents['meta'], path)
        run.banks = _banks(contents['state_dict'], run.meta.category_names)
    except MMLGDError as error:
        run.notes.append(str(error))
        return {}
    return contents['meta']


def _banks(state: dict, names: list[str] | None) -> Banks | None:
    if not names:
        return None
    banks, width = Banks(list(names)), None
    for key in ('textual', 'visual'):
        rows = state.get(f'{key}_bank.embeddings')
        if (
            isinstance(rows, torch.Tensor)
            and rows.ndim == 2
            and rows.is_floating_point()
        ):
            width = width or rows.shape[1]
            if rows.shape == (len(names), width) and rows.isfinite().all():
                setattr(banks, key, rows)
    seen = state.get('visual_bank.seen')
    if isinstance(seen, torch.Tensor) and seen.shape == (len(names),):
        banks.seen = seen.bool()
    return banks


def _iterations_per_epoch(run: Run, meta: dict) -> float | None:
    epochs = meta.get('epoch')
    counted = run.training.get('by_epoch', bool(epochs))
    return _ratio(meta.get('iter'), epochs) if counted else None


def _ratio(iterations: Any, epochs: Any) -> float | None:
    known = is_number(iterations) and is_number(epochs) and epochs > 0
    return iterations / epochs if known else None


def _read_classes(run: Run, starts: list[Path]) -> tuple[list[dict], float | None]:
    """Accuracies of the latest evaluation, and its iterations per epoch."""
    paths = [start / 'per_class/zero_shot_val.json' for start in starts]
    for path in reversed([path for path in paths if path.is_file()]):
        try:
            found = read_json_object(path)
            rows = [_class_row(row) for row in found['classes']]
            epoch, iterations = found.get('epoch'), found.get('iter')
        except (OSError, ValueError, KeyError, TypeError) as error:
            run.notes.append(f'{path.name} cannot be used: {error}.')
            continue
        return rows, _ratio(iterations, epoch)
    return [], None


def _class_row(row: dict) -> dict:
    if not isinstance(row['name'], str):
        raise ValueError('a name is not text')
    numbers = {key: row.get(key) for key in ('images', 'student', 'teacher')}
    return dict(
        name=row['name'],
        **{key: value if is_number(value) else None for key, value in numbers.items()},
    )

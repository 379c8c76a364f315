"""Metadata stored in a checkpoint, checked field by field."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mmlgd.errors import CheckpointError

from .config_text import read_config_text
from .field_checks import is_number
from .plain_config import check_plain, find_test_pipeline
from .preprocessing import Preprocessing

_MAX_SIDE = 4096
_STUDENT_PARTS = ('backbone', 'neck', 'projector')


@dataclass(frozen=True)
class CheckpointMeta:
    """The entries of a checkpoint's ``meta`` that mmlgd reads; None for missing ones.

    All are plain data. Configs among them are not trusted: see
    :mod:`mmlgd.utils.stored_config` before building one.

    Attributes:
        path (str): The file, for messages.
        mmlgd_version (str): Version that wrote it.
        teacher (str): Identity of the teacher, ``name#fingerprint``.
        teacher_config (dict): Its config.
        category_names (list[str]): The C names.
        image_mean, image_std (tuple[float, ...]): Of R, G and B (B, G and R without
            ``to_rgb``), 0 to 255.
        to_rgb (bool): Whether images read by mmcv are converted from BGR to RGB.
        image_size (int | tuple[int, int]): Side, or height and width, in pixels.
        student_size (int): Side to which the student resizes images of ``image_size``.
        default_scope (str): Scope of the types without prefix in the configs.
        backbone, neck, projector (dict): The student's configs; see :attr:`student`.
        student_temperature, teacher_temperature (float): Of the softmax.
        test_pipeline (list[dict]): Transforms of an image after it is read.
        student (dict): Those of ``backbone``, ``neck`` and ``projector`` that the file
            contains; ``neck`` is None for a student without neck.
        note (str): Why the config text of an older file cannot be used; otherwise ''.
    """

    path: str
    mmlgd_version: str | None = None
    teacher: str | None = None
    teacher_config: dict | None = None
    category_names: list | None = None
    image_mean: tuple | None = None
    image_std: tuple | None = None
    to_rgb: bool | None = None
    image_size: int | tuple | None = None
    student_size: int | None = None
    default_scope: str | None = None
    backbone: dict | None = None
    neck: dict | None = None
    projector: dict | None = None
    student_temperature: float | None = None
    teacher_temperature: float | None = None
    test_pipeline: list | None = None
    student: dict | None = None
    note: str = ''

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any], path: str | Path) -> 'CheckpointMeta':
        """Check the entries of a ``meta``.

        Files of mmlgd 0.1.0 contain the student's configs only in ``cfg``, the text of
        the run's config. It is parsed if it is plain data.

        Raises:
            CheckpointError: An entry is invalid. The message gives file and entry.
        """
        found, note = dict(meta), ''
        if 'cfg' in meta and 'test_pipeline' not in meta:
            try:
                found = {**_from_config(read_config_text(meta['cfg'])), **found}
            except ValueError as error:
                note = f" Its meta['cfg'] cannot be used: {error}."
        values: dict[str, Any] = {}
        for name, check in _CHECKS.items():
            if found.get(name) is None:
                continue
            try:
                values[name] = check(found[name])
            except ValueError as error:
                raise CheckpointError(
                    f'{path} is damaged or not a checkpoint of mmlgd: its '
                    f'meta[{name!r}] {error}.'
                ) from error
        student = {key: values.get(key) for key in _STUDENT_PARTS if key in found}
        return cls(path=str(path), student=student, note=note, **values)

    @property
    def preprocessing(self) -> Preprocessing | None:
        """Normalisation of images; None if the file does not record it."""
        mean, std, to_rgb = self.image_mean, self.image_std, self.to_rgb
        if mean is None or std is None or to_rgb is None:
            return None
        return Preprocessing(mean, std, to_rgb)

    def require(self, *names: str) -> None:
        """Check that the file has some entries.

        Raises:
            CheckpointError: Entries are missing; the message lists them.
        """
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            values = ', '.join(f'{name}=...' for name in missing)
            raise CheckpointError(
                f'{self.path} does not have {", ".join(missing)} in its meta.{self.note} '
                'Use a training checkpoint written by mmlgd (CheckpointMetaHook in '
                f'custom_hooks), or pass meta=dict({values}).'
            )


def _from_config(settings: dict) -> dict:
    """The entries that follow from the full config of a run."""
    model = settings.get('model')
    model = model if isinstance(model, dict) else {}
    names = (*_STUDENT_PARTS, 'student_temperature', 'teacher_temperature')
    found = {name: model[name] for name in names if name in model}
    found['teacher_config'] = model.get('teacher')
    found['default_scope'] = settings.get('default_scope')
    found['test_pipeline'] = find_test_pipeline(settings)
    if 'teacher' in model:  # a distiller; this is its default
        found.setdefault('student_temperature', 0.2)
    return found


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f'is {_short(value)}, not a string')
    return value


def _config(value: object) -> dict:
    if not isinstance(value, dict):
        raise ValueError(f'is {_short(value)}, not a config')
    return check_plain(value)


def _configs(value: object) -> list[dict]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f'is {_short(value)}, not a list of configs')
    return [_config(item) for item in value]


def _names(value: object) -> list[str]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f'is {_short(value)}, not a list of names')
    return [_text(item) for item in value]


def _number(value: Any) -> float:
    if not is_number(value):
        raise ValueError(f'is or contains {_short(value)}, not a finite number')
    return float(value)


def _positive(value: Any) -> float:
    if _number(value) <= 0:
        raise ValueError(f'is or contains {_short(value)}, not a number above 0')
    return float(value)


def _channels(check: Callable) -> Callable:
    def check_all(value: object) -> tuple[float, ...]:
        if not isinstance(value, (list, tuple)) or len(value) not in (1, 3):
            raise ValueError(f'is {_short(value)}, not one number per channel')
        return tuple(check(item) for item in value)

    return check_all


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f'is {_short(value)}, not True or False')
    return value


def _size(value: Any) -> int | tuple[int, int]:
    sides = value if isinstance(value, (list, tuple)) else (value, value)
    for side in sides:
        if type(side) is not int or not 0 < side <= _MAX_SIDE:
            raise ValueError(f'is {_short(value)}, not 1 to {_MAX_SIDE} pixels')
    if len(sides) != 2:
        raise ValueError(f'is {_short(value)}, not height and width')
    return tuple(sides) if isinstance(value, (list, tuple)) else value


def _side(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f'is {_short(value)}, not a whole number of pixels')
    _size(value)
    return value


def _short(value: object) -> str:
    text = repr(value) if isinstance(value, (str, int, float)) else ''
    return text[:60] or f'a {type(value).__name__}'


_CHECKS = dict(
    mmlgd_version=_text,
    teacher=_text,
    teacher_config=_config,
    category_names=_names,
    image_mean=_channels(_number),
    image_std=_channels(_positive),
    to_rgb=_flag,
    image_size=_size,
    student_size=_side,
    default_scope=_text,
    backbone=_config,
    neck=_config,
    projector=_config,
    student_temperature=_positive,
    teacher_temperature=_positive,
    test_pipeline=_configs,
)
assert set(_CHECKS) < {field.name for field in fields(CheckpointMeta)}

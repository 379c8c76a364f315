"""Teacher and student of a distillation, found by name and checked before a run."""

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmlgd.apis.catalogue import list_students, list_teachers
from mmlgd.errors import ConfigError, TeacherError
from mmlgd.models import Student
from mmlgd.models.student import GLOBAL_AVERAGE_POOLING
from mmlgd.models.teachers.open_clip_source import WEIGHT_SUFFIXES, OpenCLIPSource
from mmlgd.registry import MODELS
from mmlgd.utils.paths import expand_user
from mmlgd.utils.suggest import suggest

#: Options of OpenCLIPTeacher that decide which model it is.
_SOURCE_OPTIONS = (
    'model_name',
    'pretrained',
    'model_config',
    'force_quick_gelu',
    'tokenizer',
)
#: torch's momentum of BatchNorm.
QUICK_MOMENTUM = 0.1
#: Of the paper, for a teacher that has learned none.
PUBLISHED_TEMPERATURE = 0.01
#: Teachers that embed names only with the option `text_encoder`.
_WITHOUT_TEXT = ('MMPretrainTeacher', 'TIMMTeacher')


@dataclass(frozen=True)
class FoundTeacher:
    """A teacher with text, and what the config needs to know of it.

    Attributes:
        config (dict): Config of the teacher.
        temperature (float | str): ``teacher_temperature`` of the distiller.
        image_size (int): Side of its images, in pixels.
        name (str): For a message.
    """

    config: dict
    temperature: float | str
    image_size: int
    name: str


def find_teacher(teacher: str | Path | Mapping) -> FoundTeacher:
    """Find a teacher without loading its weights.

    Args:
        teacher (str | Path | Mapping): A name of
            :func:`~mmlgd.apis.list_teachers`; ``'MODEL/tag'`` or ``'MODEL/file'`` of
            open_clip; a weight file with open_clip's model JSON of the same stem beside
            it; a folder with ``open_clip_config.json``; or a config.

    Raises:
        ConfigError: The teacher is unknown, or has no text tower.
        TeacherError: A weight file cannot be used.
    """
    config, temperature = _teacher_config(teacher)
    kind = config.get('type')
    if kind != 'OpenCLIPTeacher':
        # Not built yet, since that may download its weights.
        needs_text = kind in _WITHOUT_TEXT and not config.get('text_encoder')
        built = None if needs_text else MODELS.build(config)
        if built is None or not built.has_text_tower:
            raise ConfigError(
                f'The teacher {teacher!r} has no text tower, so it cannot embed names. Use '
                f'one of {", ".join(_teachers_with_text())}, or align it first '
                '(docs/teachers.md).'
            )
        if temperature == 'auto' and built.logit_scale is None:
            temperature = PUBLISHED_TEMPERATURE
        return FoundTeacher(config, temperature, built.image_size, built.identity)
    options: dict[str, Any] = {key: config.get(key) for key in _SOURCE_OPTIONS}
    source = OpenCLIPSource(**options)
    size = config.get('image_size') or source.image_size
    side = size if isinstance(size, int) else size[0]
    return FoundTeacher(config, temperature, side, f'{source.name}, {source.label}')


def _teacher_config(teacher: Any) -> tuple[dict, float | str]:
    if isinstance(teacher, Mapping):
        return dict(teacher), 'auto'
    known = list_teachers()
    if teacher in known:
        base = Config.fromfile(known[teacher]['config'])
        return known[teacher]['teacher'], base.get('teacher_temperature', 'auto')
    text = expand_user(os.fspath(teacher), 'the teacher')
    path = Path(text)
    if path.is_dir():
        found = dict(model_name=f'local-dir:{path.absolute()}')
    elif path.is_file():
        found = _of_weight_file(path.absolute())
    elif text.startswith(('hf-hub:', 'local-dir:')):
        found = dict(model_name=text)
    elif '/' in text and text[0] not in './':
        model_name, _, pretrained = text.partition('/')
        if os.path.isfile(pretrained):
            pretrained = os.path.abspath(pretrained)
        elif path.suffix in WEIGHT_SUFFIXES:
            raise TeacherError(
                f'There is no weight file {text!r}, and no {pretrained!r} for the model '
                f'{model_name!r}. Relative paths start from {os.getcwd()!r}.'
            )
        found = dict(model_name=model_name, pretrained=pretrained)
    elif path.suffix in WEIGHT_SUFFIXES or len(path.parts) > 1:
        raise TeacherError(
            f'The weight file {text!r} does not exist; correct the path, or give '
            'another teacher of `mmlgd list teachers`.'
        )
    else:
        raise ConfigError(
            f'There is no teacher {text!r}.{suggest(text, known)} Give one of '
            f"{', '.join(_teachers_with_text())}; 'MODEL/tag' of open_clip, such as "
            "'ViT-B-16/dfn2b'; or the path of a weight file or folder."
        )
    return dict(type='OpenCLIPTeacher', **found), 'auto'


def _of_weight_file(path: Path) -> dict:
    model_config = path.with_suffix('.json')
    if not model_config.is_file():
        raise ConfigError(
            f'{path} does not say which model it is. Put the model JSON of open_clip '
            f"beside it as {model_config.name}, or give 'MODEL/{path}', such as "
            f"'ViT-B-16/{path}'."
        )
    return dict(
        model_name=path.stem, model_config=str(model_config), pretrained=str(path)
    )


def _teachers_with_text() -> list[str]:
    return [
        name
        for name, each in list_teachers().items()
        if each['teacher']['type'] not in _WITHOUT_TEXT
    ]


@dataclass(frozen=True)
class FoundStudent:
    """A student that was built once.

    Attributes:
        config (dict): ``backbone`` and ``neck``.
        parameters (int): Of the backbone.
        quick_norms (dict | None): Options of the backbone that raise the momentum of its
            BatchNorm to :data:`QUICK_MOMENTUM`; None if it is not lower, or cannot be set.
        name (str): For a message.
    """

    config: dict
    parameters: int
    quick_norms: dict | None
    name: str


def find_student(student: str | Mapping, image_size: int) -> FoundStudent:
    """Find a student, build it, and run it on one image.

    Args:
        student (str | Mapping): A name of :func:`~mmlgd.apis.list_students`, a name of
            timm, or a config with ``backbone`` and ``neck``.
        image_size (int): Side of its images, in pixels.

    Raises:
        ConfigError: The student is unknown, or does not support this size.
    """
    config = _student_config(student)
    backbone = config['backbone']
    if 'img_size' in backbone:  # networks whose input size is fixed
        is_pair = isinstance(backbone['img_size'], list | tuple)
        size = (image_size, image_size) if is_pair else image_size
        config = dict(config, backbone=dict(backbone, img_size=size))
    try:
        built = Student(embed_dims=1, image_size=image_size, **config)
    except ConfigError:
        raise
    except Exception as error:  # of any network, on images that are too small for it
        raise ConfigError(
            f'The student {student!r} does not support images of {image_size} pixels, '
            f'the size of the teacher ({error}); choose another student or teacher.'
        ) from error
    parameters = sum(each.numel() for each in built.backbone.parameters())
    name = student if isinstance(student, str) else type(built.backbone).__name__
    quick_norms = _quick_norms(config['backbone']) if _is_slow(built) else None
    return FoundStudent(config, parameters, quick_norms, name)


def _is_slow(model: nn.Module) -> bool:
    norms = [each for each in model.modules() if isinstance(each, _BatchNorm)]
    return any(
        norm.momentum is not None and norm.momentum < QUICK_MOMENTUM for norm in norms
    )


def _quick_norms(backbone: dict) -> dict | None:
    known = inspect.signature(MODELS.get(backbone['type'])).parameters
    if 'norm_cfg' not in known:
        return None
    own = backbone.get('norm_cfg', known['norm_cfg'].default)
    options = dict(norm_cfg={**(own or {}), 'momentum': QUICK_MOMENTUM})
    try:
        built = MODELS.build({**backbone, **options})
    except Exception:  # of any network that does not accept the option
        return None
    return None if _is_slow(built) else options


def _student_config(student: Any) -> dict:
    if isinstance(student, Mapping):
        if 'backbone' not in student:
            raise ConfigError(
                'A config of a student needs backbone=dict(...) and neck=dict(...), '
                f'but has {sorted(student)}.'
            )
        return dict(student)
    known = list_students()
    if student in known:
        return known[student]['student']
    import timm

    if not timm.is_model(student):
        hint = suggest(student, [*known, *timm.list_models()], count=3)
        raise ConfigError(
            f'There is no student {student!r}.{hint} `mmlgd list students` lists '
            'those of mmlgd, timm.list_models() all others.'
        )
    # A ViT is pooled as it was built to; other networks give maps to later tasks.
    if hasattr(timm.create_model(student), 'num_prefix_tokens'):
        options = dict(type='mmlgd.TIMMBackbone', pooled=True, img_size=224)
        return dict(backbone=dict(options, model_name=student), neck=None)
    options = dict(type='mmpretrain.TIMMBackbone', features_only=True)
    return dict(
        backbone=dict(options, model_name=student), neck=dict(GLOBAL_AVERAGE_POOLING)
    )

"""Building and checking of the teachers of one student."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.models.teachers import AdaptedTeacher, JointTeacher
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_in_range
from mmlgd.utils.identity import same_identity
from mmlgd.utils.suggest import suggest

TARGETS = ('features', 'maps')
_OPTIONS = ('teacher', 'weight', 'target', 'projector')
_EXAMPLE = "dict(teacher=dict(type='TIMMTeacher', ...), weight=1.0, target='features')"


@dataclass
class FurtherTeacher:
    """A teacher of features or maps, beside the one of language.

    Attributes:
        teacher (BaseTeacher): Accepts the crops of the language teacher.
        targets (tuple[str, ...]): 'features', 'maps' or both.
        weight (float): Weight of its losses.
        projector (dict): Config of the projector to its features.
    """

    teacher: Any
    targets: tuple[str, ...] = ('features',)
    weight: float = 1.0
    projector: dict = field(default_factory=dict)


def build_teachers(
    configs: Sequence[dict | nn.Module], place: str
) -> tuple[nn.Module, list[FurtherTeacher]]:
    """Build the teachers of a ``teachers`` list, all for crops of the largest size.

    Options are checked before any teacher is built.

    Args:
        configs (Sequence[dict | nn.Module]): The language teacher, then entries with
            ``teacher``, ``weight``, ``target`` and ``projector``.
        place (str): Name of the option, for messages.

    Returns:
        tuple[nn.Module, list[FurtherTeacher]]: The language teacher and the others.

    Raises:
        ConfigError: The list or an option is invalid, the first teacher has no text,
            two teachers are the same, or only some of them are stored.
    """
    if not isinstance(configs, Sequence) or len(configs) < 2:
        raise ConfigError(
            f'{place} must be a list of two or more: the config of the language teacher, '
            f'then entries such as {_EXAMPLE}. For a single teacher use LGD.'
        )
    first, *others = configs
    # A StoredTeacher has an option teacher, too.
    if isinstance(first, dict) and 'teacher' in first and 'type' not in first:
        raise ConfigError(
            f'{place}[0] is the language teacher, whose weight is that of LGD (alpha); '
            "write its config without weight and target: dict(type='OpenCLIPTeacher', "
            '...).'
        )
    further = [
        _read_entry(entry, f'{place}[{number}]')
        for number, entry in enumerate(others, 1)
    ]
    language = _build(first)
    if not (language.has_text_tower or language.text_identity):
        raise ConfigError(
            f'{place}[0] ({language.identity}) has no text, but the first teacher is the '
            'one of language, whose banks guide. Put a CLIP first, or a teacher with '
            'text_encoder.'
        )
    for one in further:
        one.teacher = _build(one.teacher)
        one.teacher.release_text_tower()
    teachers = [language, *(one.teacher for one in further)]
    _check_together(teachers, place)
    if not language.has_image_tower:
        return language, further
    crop = max(teacher.image_size for teacher in teachers)
    preprocessing = language.image_mean, language.image_std, crop
    for one in further:
        one.teacher = AdaptedTeacher(one.teacher, *preprocessing)
    if language.image_size != crop:
        language = AdaptedTeacher(language, *preprocessing)
    return language, further


def build_language_teacher(model: dict) -> Any:
    """Build the teacher of a model's config; of several the first, for their crops."""
    if 'teachers' in model:
        return build_teachers(model['teachers'], 'model.teachers')[0]
    return MODELS.build(model['teacher'])


def build_whole_teacher(model: dict) -> Any:
    """Build the teacher of a model's config for a store; several as a JointTeacher.

    Raises:
        ConfigError: A further teacher teaches maps, which are not stored; see also
            :func:`build_teachers`.
    """
    if 'teachers' not in model:
        return MODELS.build(model['teacher'])
    language, further = build_teachers(model['teachers'], 'model.teachers')
    for number, one in enumerate(further, 1):
        if one.targets != ('features',):
            raise ConfigError(
                f'model.teachers[{number}].target is {", ".join(one.targets)}, but a '
                "store has embeddings only, no maps; set target='features', or train "
                'with the online teachers.'
            )
    return JointTeacher([language, *(one.teacher for one in further)])


def _build(teacher: dict | nn.Module) -> Any:
    return teacher if isinstance(teacher, nn.Module) else MODELS.build(teacher)


def _read_entry(entry: Any, place: str) -> FurtherTeacher:
    if not isinstance(entry, dict) or 'teacher' not in entry or 'type' in entry:
        raise ConfigError(f'{place} has no teacher; write it as {_EXAMPLE}.')
    for key in entry:
        if key not in _OPTIONS:
            raise ConfigError(
                f'{place} has no option {key!r}, only {", ".join(_OPTIONS)}.'
                f'{suggest(str(key), _OPTIONS)}'
            )
    weight = entry.get('weight', 1.0)
    check_in_range(f'{place}.weight', weight, 0, float('inf'), low_open=True)
    target = entry.get('target', 'features')
    targets = (target,) if isinstance(target, str) else tuple(target or ())
    if not targets or len({*targets}) < len(targets) or not {*targets} <= {*TARGETS}:
        raise ConfigError(
            f"{place}.target is {target!r}; set it to 'features', 'maps' or "
            "['features', 'maps'].",
        )
    projector = dict(entry.get('projector') or {})
    if projector and 'features' not in targets:
        raise ConfigError(
            f'{place}.projector is for features, but the target is {target!r}; maps are '
            'projected by a 1 x 1 convolution. Omit it.'
        )
    return FurtherTeacher(entry['teacher'], targets, weight, projector)


def _check_together(teachers: Sequence[Any], place: str) -> None:
    stored = [not teacher.has_image_tower for teacher in teachers]
    if any(stored) and not all(stored):
        raise ConfigError(
            f'{place} has stored teachers ({_listed(stored)}) and others, but the '
            'embeddings of all teachers come from one store. Set all to StoredTeacher, '
            'or none.'
        )
    for number, teacher in enumerate(teachers):
        for earlier in range(number):
            if same_identity(teachers[earlier].identity, teacher.identity):
                raise ConfigError(
                    f'{place}[{earlier}] and {place}[{number}] are the same teacher '
                    f'({teacher.identity}), which would be run twice in each step. '
                    "Remove one; target=['features', 'maps'] takes both from one pass."
                )


def _listed(stored: Sequence[bool]) -> str:
    return ', '.join(
        str(number) for number, is_stored in enumerate(stored) if is_stored
    )

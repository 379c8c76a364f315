"""Finds the name that each class of a list stands for."""

import unicodedata
from collections.abc import Mapping, Sequence

from mmengine.logging import print_log

from mmlgd.errors import ConfigError
from mmlgd.utils.suggest import suggest

from .official_classes import official_spellings

LEFT_OUT = -1
_MAX_LISTED = 5
_HOW_TO_NAME = (
    'Give the dataset classes=[...], its names in the order of its labels (of folders: '
    'sorted as text), or ZeroShotAccuracy class_names={class: name}.'
)


def match_classes(
    classes: Sequence[str],
    names: Sequence[str],
    place: str = 'the dataset',
    class_names: Mapping[str, str | None] | None = None,
) -> list[int]:
    """Find the name of each class; label i is ``classes[i]``.

    In this order: the same list; the official spelling of a built-in set (see
    :mod:`~mmlgd.evaluation.official_classes`); the same name; the same name but for
    case, underscores, hyphens and blanks. Classes that are numbers, as folders 0, 1, 10,
    2 are, stand for places in the list of names if they are counted from 0. What is not
    the same list is mentioned in the log.

    Args:
        classes (Sequence[str]): Class names in the order of the labels. They may be a
            part of the names.
        names (Sequence[str]): The C names.
        place (str): What to call the dataset in messages.
        class_names (Mapping[str, str | None], optional): The name of classes that are
            spelled otherwise; several classes may share a name. None leaves the images
            of a class out of the evaluation.

    Returns:
        list[int]: Name index of each label; :data:`LEFT_OUT` where ``class_names`` says
        None.

    Raises:
        ConfigError: A class is not among the names, could be several of them, or shares
            one with another class.

    Example:
        >>> match_classes(['Bird', 'cat'], ['cat', 'dog', 'bird'])
        [2, 0]
    """
    classes, names = [str(c) for c in classes], list(names)
    class_names = class_names or {}
    _check_class_names(class_names, classes, names, place)
    translated = [class_names.get(name) or name for name in classes]
    folded = [_fold(name) for name in translated]
    spellings = [names, *official_spellings(names)]
    # Names in another order may be the same list once folded; official lists repeat some.
    reordered = translated != names and sorted(translated) == sorted(names)
    if not reordered and any(folded == [_fold(n) for n in each] for each in spellings):
        matched = list(range(len(names)))
    elif _are_numbers(classes) and not set(folded) & {_fold(name) for name in names}:
        matched = _match_numbers(classes, len(names), place)
    else:
        matched = _match_names(classes, translated, spellings, class_names, place)
    matched = [
        LEFT_OUT if class_names.get(name, name) is None else index
        for name, index in zip(classes, matched)
    ]
    _report(classes, matched, names, place)
    return matched


def _fold(name: str) -> str:
    """A name without case, underscores, hyphens, and with single blanks."""
    name = unicodedata.normalize('NFKC', name).casefold()
    return ' '.join(name.replace('_', ' ').replace('-', ' ').split())


def _check_class_names(
    class_names: Mapping, classes: list[str], names: list[str], place: str
) -> None:
    for key, value in class_names.items():
        if key not in classes:
            raise ConfigError(
                f'class_names has the class {key!r}, but {place} has none of that name.'
                f'{suggest(str(key), classes)}'
            )
        if value is not None and value not in names:
            raise ConfigError(
                f'class_names says that the class {key!r} of {place} is {value!r}, which '
                f'is not among the {len(names)} names.{suggest(str(value), names)}'
            )


def _are_numbers(classes: list[str]) -> bool:
    return bool(classes) and all(
        name.isdecimal() and len(name) < 10 for name in classes
    )


def _match_numbers(classes: list[str], num_names: int, place: str) -> list[int]:
    """Places in the list of names that classes such as '0', '1', '10', '2' stand for."""
    numbers = [int(name) for name in classes]
    if len({*numbers}) < len(numbers):
        reason = 'some of them are the same number'
    elif min(numbers) > 0:
        reason = 'without 0 they may be counted from 0 or from 1'
    elif max(numbers) >= num_names:
        reason = f'there are only {num_names} names'
    else:
        return numbers
    raise ConfigError(
        f'the classes of {place} are numbers, {listed(classes)}, which do not say which '
        f'name they stand for: {reason}. {_HOW_TO_NAME}'
    )


def _match_names(
    classes: list[str],
    translated: list[str],
    spellings: list[Sequence[str]],
    class_names: Mapping,
    place: str,
) -> list[int]:
    """Index of each class in ``spellings[0]``; any for a class that is left out."""
    names = spellings[0]
    exact = {name: index for index, name in enumerate(names)}
    alike: dict[str, dict[int, None]] = {}
    for each in spellings:
        for index, name in enumerate(each):
            alike.setdefault(_fold(name), {})[index] = None
    matched: list[int] = []
    unmatched: list[str] = []
    taken: dict[int, str] = {}
    for name, wanted in zip(classes, translated):
        options = (
            [exact[wanted]] if wanted in exact else [*alike.get(_fold(wanted), ())]
        )
        if class_names.get(name, name) is None:
            options = [LEFT_OUT]
        if len(options) > 1:
            raise ConfigError(
                f'the class {name!r} of {place} may be any of '
                f'{listed([names[index] for index in options])}. {_HOW_TO_NAME}'
            )
        if not options:
            unmatched.append(name)
            continue
        matched += options
        # Several classes may share a name only where class_names says so.
        if name not in class_names and options[0] in taken:
            raise ConfigError(
                f'the classes {taken[options[0]]!r} and {name!r} of {place} both match '
                f'the name {names[options[0]]!r}. {_HOW_TO_NAME}'
            )
        taken.setdefault(options[0], name)
    if unmatched:
        _refuse(unmatched, classes, names, place)
    return matched


def _refuse(
    unmatched: list[str], classes: list[str], names: Sequence[str], place: str
) -> None:
    shown = []
    for name in unmatched[:_MAX_LISTED]:
        hint = suggest(name, names)
        shown.append(f'{name!r}:{hint}' if hint else repr(name))
    more = (
        f'; and {len(unmatched) - len(shown)} more' if unmatched[len(shown) :] else ''
    )
    raise ConfigError(
        f'{len(unmatched)} of the {len(classes)} classes of {place} are not among the '
        f'{len(names)} names to choose from: {"; ".join(shown)}{more}. The names are '
        f'{listed(names)}. {_HOW_TO_NAME} To predict other names, set '
        "model.zero_shot_bank=dict(type='TextualSemanticsBank', categories=...)."
    )


def _report(
    classes: list[str], matched: list[int], names: list[str], place: str
) -> None:
    """Mention in the log what is not one class for each name, in order."""
    notes = []
    if matched != sorted(matched):
        notes.append('in another order than the names, and are matched by name')
    unused = len(names) - len({*matched} - {LEFT_OUT})
    if unused:
        notes.append(
            f'{len({*matched} - {LEFT_OUT})} of the {len(names)} names; all of these '
            'may be predicted'
        )
    left_out = [name for name, index in zip(classes, matched) if index == LEFT_OUT]
    if left_out:
        notes.append(f'left out where class_names says so: {listed(left_out)}')
    if notes:
        print_log(
            f'The {len(classes)} classes of {place} are {"; ".join(notes)}.', 'current'
        )


def listed(names: Sequence[str]) -> str:
    shown = ', '.join(repr(name) for name in names[:_MAX_LISTED])
    return shown + (', ...' if len(names) > _MAX_LISTED else '')

"""Matching of class names to category names."""

import unicodedata
from collections.abc import Mapping, Sequence

from mmengine.logging import print_log

from mmlgd.errors import ConfigError
from mmlgd.utils.suggest import suggest

from .official_classes import official_spellings

LEFT_OUT = -1
_MAX_LISTED = 5
_ADVICE = (
    'Set classes=[...] of the dataset to its class names, in the order of its labels '
    '(for folders: sorted as text), or class_names={class: name} of ZeroShotAccuracy.'
)


def match_classes(
    classes: Sequence[str],
    names: Sequence[str],
    place: str = 'the dataset',
    class_names: Mapping[str, str | None] | None = None,
) -> list[int]:
    """Find the name of each class; label i is ``classes[i]``.

    Matches are tried in this order: the same list; the official spelling of a built-in
    set (see :mod:`~mmlgd.evaluation.official_classes`); the same name; the same name up
    to case, underscores, hyphens and whitespace. Classes that are numbers, such as the
    folders 0, 1, 10, 2, are indices into the names if they are counted from 0. Anything
    but the same list is logged.

    Args:
        classes (Sequence[str]): Class names in the order of the labels; a subset of the
            names is accepted.
        names (Sequence[str]): The C names.
        place (str): Name of the dataset in messages.
        class_names (Mapping[str, str | None], optional): Names of classes that are
            spelled differently; several classes may share a name. None excludes the
            images of a class from the evaluation.

    Returns:
        list[int]: Index of the name of each label; :data:`LEFT_OUT` where
        ``class_names`` is None.

    Raises:
        ConfigError: A class is not among the names, matches several of them, or matches
            the same name as another class.

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
    # A permutation may be equal after folding: official lists repeat some names.
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
    """Normalise case, underscores, hyphens and whitespace of a name."""
    name = unicodedata.normalize('NFKC', name).casefold()
    return ' '.join(name.replace('_', ' ').replace('-', ' ').split())


def _check_class_names(
    class_names: Mapping, classes: list[str], names: list[str], place: str
) -> None:
    for key, value in class_names.items():
        if key not in classes:
            raise ConfigError(
                f'class_names has the class {key!r}, but {place} has no such class.'
                f'{suggest(str(key), classes)}'
            )
        if value is not None and value not in names:
            raise ConfigError(
                f'class_names maps the class {key!r} of {place} to {value!r}, which is '
                f'not among the {len(names)} names.{suggest(str(value), names)}'
            )


def _are_numbers(classes: list[str]) -> bool:
    return bool(classes) and all(
        name.isdecimal() and len(name) < 10 for name in classes
    )


def _match_numbers(classes: list[str], num_names: int, place: str) -> list[int]:
    """Indices into the names for classes such as '0', '1', '10', '2'."""
    numbers = [int(name) for name in classes]
    if len({*numbers}) < len(numbers):
        reason = 'some of them are the same number'
    elif min(numbers) > 0:
        reason = 'without a 0, they may be counted from 0 or from 1'
    elif max(numbers) >= num_names:
        reason = f'there are only {num_names} names'
    else:
        return numbers
    raise ConfigError(
        f'the classes of {place} are numbers, {listed(classes)}, which cannot be matched '
        f'to names: {reason}. {_ADVICE}'
    )


def _match_names(
    classes: list[str],
    translated: list[str],
    spellings: list[Sequence[str]],
    class_names: Mapping,
    place: str,
) -> list[int]:
    """Index of each class in ``spellings[0]``; LEFT_OUT for an excluded class."""
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
                f'the class {name!r} of {place} matches several names: '
                f'{listed([names[index] for index in options])}. {_ADVICE}'
            )
        if not options:
            unmatched.append(name)
            continue
        matched += options
        # Several classes may share a name only if class_names maps them to it.
        if name not in class_names and options[0] in taken:
            raise ConfigError(
                f'the classes {taken[options[0]]!r} and {name!r} of {place} both match '
                f'the name {names[options[0]]!r}. {_ADVICE}'
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
        f'{len(names)} names: {"; ".join(shown)}{more}. The names are '
        f'{listed(names)}. {_ADVICE} To predict other names, set '
        "model.zero_shot_bank=dict(type='TextualSemanticsBank', categories=...)."
    )


def _report(
    classes: list[str], matched: list[int], names: list[str], place: str
) -> None:
    """Log differences from one class per name in the same order."""
    notes = []
    if matched != sorted(matched):
        notes.append('in another order than the names and were matched by name')
    unused = len(names) - len({*matched} - {LEFT_OUT})
    if unused:
        notes.append(
            f'{len({*matched} - {LEFT_OUT})} of the {len(names)} names; all of these '
            'can be predicted'
        )
    left_out = [name for name, index in zip(classes, matched) if index == LEFT_OUT]
    if left_out:
        notes.append(f'excluded by class_names: {listed(left_out)}')
    if notes:
        print_log(
            f'The {len(classes)} classes of {place} are {"; ".join(notes)}.', 'current'
        )


def listed(names: Sequence[str]) -> str:
    shown = ', '.join(repr(name) for name in names[:_MAX_LISTED])
    return shown + (', ...' if len(names) > _MAX_LISTED else '')

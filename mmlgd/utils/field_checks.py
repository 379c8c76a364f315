"""Checks of what a file gave for the fields of a dataclass."""

import json
import math
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

_MAX_BYTES = 16 * 2**20
Rule = Callable[[Any], bool]


def check_fields(cls: type, contents: object) -> dict:
    """Check names, types and values by the annotations of a dataclass.

    Args:
        cls (type): Its fields are annotated with a type, or with ``Annotated`` and rules
            such as those below, for values other than None.
        contents (object): What should be a dict of its fields. Those with a default
            may be missing.

    Returns:
        dict: The contents.

    Raises:
        ValueError: They are not; names the field.
    """
    if not isinstance(contents, dict):
        raise ValueError(f'it contains {type(contents).__name__}, not a dict')
    names = {each.name for each in fields(cls)}
    required = {each.name for each in fields(cls) if _is_required(each)}
    missing, unexpected = required - contents.keys(), contents.keys() - names
    if missing or unexpected:
        raise ValueError(
            f'missing keys {sorted(missing)}, unexpected {sorted(map(str, unexpected))}'
        )
    hints = get_type_hints(cls, include_extras=True)
    for name, value in contents.items():
        hint = hints[name]
        kind, *rules = get_args(hint) if get_origin(hint) is Annotated else [hint]
        if not isinstance(value, kind):
            wanted = getattr(kind, '__name__', kind)
            raise ValueError(f'{name} is {type(value).__name__}, not {wanted}')
        if value is not None and not all(rule(value) for rule in rules):
            raise ValueError(f'{name} cannot be {value!r:.80}')
    return contents


def is_number(value: Any) -> bool:
    """Whether a value is a finite number of a common size, and not a bool."""
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and abs(value) <= 1e9 and math.isfinite(value)


def is_whole(low: int, high: int) -> Rule:
    """A rule: a whole number of [low, high]."""
    return lambda value: type(value) is int and low <= value <= high


def each(rule: Rule, length: int | None = None) -> Rule:
    """A rule: a list whose items follow a rule, of a length where one is given."""
    return lambda values: length in (None, len(values)) and all(map(rule, values))


def read_json_object(path: Path) -> dict:
    """Read a JSON file of one object, of at most 16 MB.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not one, or is nested too deeply.
    """
    with open(path, 'rb') as file:
        text = file.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise ValueError(f'more than {_MAX_BYTES} bytes')
    try:
        content = json.loads(text)
        repr(content)  # What cannot be shown would end a later message.
    except RecursionError as error:
        raise ValueError('nested too deeply') from error
    if not isinstance(content, dict):
        raise ValueError(f'a {type(content).__name__} instead of an object')
    return content


def _is_required(field: Field) -> bool:
    return field.default is MISSING and field.default_factory is MISSING

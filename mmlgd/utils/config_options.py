"""Parser of ``--cfg-options``: settings of a config on the command line.

mmengine's parser removes all whitespace, also inside strings and paths. This one reads
the same grammar and keeps values as written:

- ``key=value``: everything after the first ``=`` is the value. Keys are dotted, and
  numbers are indices of lists: ``train_dataloader.dataset.pipeline.0.scale=64``.
- A value is one element, or a list of several: ``a, b`` is ``['a', 'b']``.
- ``[a, b]`` is a list, ``(a, b)`` a tuple, ``dict(name=value, ...)`` a dict; they nest.
- ``'...'`` and ``"..."`` are strings with any content. One level of quotes is removed,
  and there are no escapes. A quote inside a word is an ordinary character. Quotes around
  a whole list (``"[a, b]"``) are ignored, since some shells keep them.
- An element that parses as an int, a float, ``True``, ``False`` (in any case) or
  ``None`` is converted. Everything else is a string without surrounding whitespace;
  whitespace inside it is kept. Braces and backslashes are ordinary characters.
- Brackets must match, except inside quotes. A trailing comma adds no element.

Nothing is evaluated.
"""

import argparse
import re
from collections.abc import Iterable, Sequence
from typing import Any

from mmlgd.errors import ConfigError

_CLOSING = {'[': ']', '(': ')'}
_QUOTED_END = re.compile(r'\s*(?:[,\])]|$)')
_DICT = re.compile(r'dict\s*\(')
#: Deeper nesting is a mistake, and would end in Python's recursion limit.
_MAX_DEPTH = 50


class ConfigOptions(argparse.Action):
    """Collects ``key=value`` words into a dict, also over repeated options.

    The last of equal keys wins, so that a script's options can be overridden.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[str] | None,
        option_string: str | None = None,
    ) -> None:
        """Add the words of one ``--cfg-options``.

        Raises:
            ConfigError: A word is not ``key=value``, or its value cannot be read.
        """
        known = getattr(namespace, self.dest, None) or {}
        setattr(namespace, self.dest, {**known, **parse_options(values or ())})


def parse_options(words: Iterable[str]) -> dict[str, Any]:
    """Read ``key=value`` words.

    Args:
        words (Iterable[str]): Words as passed by the shell.

    Returns:
        dict[str, Any]: Dotted key to value.

    Raises:
        ConfigError: A word is not ``key=value``, or its value cannot be read.
    """
    options = {}
    for word in words:
        key, equals, text = word.partition('=')
        key = key.strip()
        if not equals:
            raise ConfigError(
                f'--cfg-options: {word!r} is not of the form key=value. Quote an option '
                "with whitespace for the shell: 'key=[a photo of a {}., stop sign]'."
            )
        if not all(part.strip() for part in key.split('.')):
            raise ConfigError(
                f'--cfg-options: the key of {word!r} has an empty part; write it as '
                'model.backbone.depth=18.'
            )
        options[key] = parse_value(text, key)
    return options


def parse_value(text: str, key: str = 'value') -> Any:
    """Parse one value with the grammar of this module.

    Args:
        text (str): Text after the first ``=``.
        key (str): Its key, for messages. Defaults to 'value'.

    Raises:
        ConfigError: Brackets or quotes do not match, nesting is too deep, or
            ``dict(...)`` contains something other than ``name=value``.

    Example:
        >>> parse_value('[a photo of a {}., "1", (2, 3e-4)]')
        ['a photo of a {}.', '1', (2, 0.0003)]
    """
    text = text.strip()
    try:
        if _is_quoted(text) and text[1:2] in _CLOSING and _spans(text[1:-1].strip()):
            text = text[1:-1].strip()
        items = _split(text)
        if len(items) <= 1 and not text.endswith(','):
            return _element(text, 0)
        return [_element(item, 0) for item in items]
    except _SyntaxError as error:
        raise ConfigError(
            f'--cfg-options: {key}={text} cannot be parsed: {error}. Put a string with '
            'commas, brackets or quotes into quotes of the other kind, and the whole '
            'option into quotes for the shell.'
        ) from None


class _SyntaxError(Exception):
    """A syntax error in a value; the message does not contain its key."""


def _element(text: str, depth: int) -> Any:
    text = text.strip()
    if depth > _MAX_DEPTH:
        raise _SyntaxError(f'brackets nest deeper than {_MAX_DEPTH} levels')
    if _is_quoted(text):
        return text[1:-1]
    head = _DICT.match(text)
    if head and _spans(text):
        return _dict(text[head.end() : -1], depth)
    if text[:1] in _CLOSING and _spans(text):
        values = [_element(item, depth + 1) for item in _split(text[1:-1])]
        return tuple(values) if text[0] == '(' else values
    return _scalar(text)


def _dict(text: str, depth: int) -> dict[str, Any]:
    pairs = {}
    for item in _split(text, named=True):
        name, equals, value = item.partition('=')
        if not equals or not name.strip().isidentifier():
            raise _SyntaxError(f'dict(...) accepts name=value, not {item.strip()!r}')
        if name.strip() in pairs:
            raise _SyntaxError(f'dict(...) has {name.strip()!r} twice')
        pairs[name.strip()] = _element(value, depth + 1)
    return pairs


def _scalar(text: str) -> int | float | bool | str | None:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            pass
    if text.lower() in ('true', 'false'):
        return text.lower() == 'true'
    return None if text == 'None' else text


def _split(text: str, named: bool = False) -> list[str]:
    """Split at the commas outside brackets and quotes; a trailing comma is ignored.

    Args:
        text (str): Text without surrounding brackets.
        named (bool): Whether the elements are ``name=value``.
    """
    items, begin = [], 0
    for position, level in _plain_characters(text, named):
        if text[position] == ',' and level == 0:
            items.append(text[begin:position])
            begin = position + 1
    rest = text[begin:]
    return [*items, rest] if rest.strip() else items


def _spans(text: str) -> bool:
    """Whether the bracket that opens a text is closed by its last character."""
    ends = (
        position
        for position, level in _plain_characters(text)
        if level == 0 and text[position] in ')]'
    )
    return next(ends, None) == len(text) - 1


def _plain_characters(text: str, named: bool = False) -> Iterable[tuple[int, int]]:
    """Position and nesting level of each character outside quotes.

    A bracket has the level of its surroundings.
    """
    # For each open bracket, its closing one, and whether it belongs to a dict(...).
    expected: list[tuple[str, bool]] = []
    position, at_start = 0, True
    while position < len(text):
        letter = text[position]
        if at_start and letter in '\'"':
            position = _closing_quote(text, position) + 1
            at_start = False
            continue
        if letter in _CLOSING:
            is_dict = letter == '(' and text[:position].rstrip().endswith('dict')
            yield position, len(expected)
            expected.append((_CLOSING[letter], is_dict))
        elif letter in ')]':
            if not expected or expected.pop()[0] != letter:
                raise _SyntaxError(f'{letter!r} closes no bracket')
            yield position, len(expected)
        else:
            yield position, len(expected)
        in_dict = expected[-1][1] if expected else named
        begins_value = letter in '[(,' or (letter == '=' and in_dict)
        at_start = begins_value or (at_start and letter.isspace())
        position += 1
    if expected:
        raise _SyntaxError(f'{expected[-1][0]!r} is missing')


def _closing_quote(text: str, begin: int) -> int:
    """Position of the quote that closes the element starting at ``begin``."""
    quote = text[begin]
    end = text.find(quote, begin + 1)
    while end >= 0 and not _QUOTED_END.match(text, end + 1):
        end = text.find(quote, end + 1)
    if end < 0:
        raise _SyntaxError(f'the quote {quote} is not closed')
    return end


def _is_quoted(text: str) -> bool:
    return text[:1] in ('"', "'") and _closing_quote(text, 0) == len(text) - 1

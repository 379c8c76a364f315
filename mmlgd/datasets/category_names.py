"""Category names and prompt templates: built-in sets, your own file, or a list.

A category set is a text file in ``categories/`` with one name per line. Line ``i``
(counting from 0) is the name of class index ``i`` of the official dataset. The files
are written from the official lists by
``tools/dataset_converters/write_category_names.py``. They differ from the official
names where a text encoder needs it:

- ``imagenet``: open_clip's names. Two pairs of them are identical. In each pair, the
  class whose WordNet synset starts with another word has that word instead:
  "projectile" (744; "missile" is 657) and "sunglass" (836; "sunglasses" is 837).
- ``lvis_v1``: underscores are spaces. The clarification in parentheses is kept, since
  names would be identical without it ("bow (weapon)"). The official list has one name
  of two synonyms, of which the first is kept ("monitor (computer equipment)").
- ``caltech256``: the 256 object categories in the order of the folders
  ``001.*`` to ``256.*``, without the background folder ``257.clutter``. Numbers and
  the mark ``-101`` (from Caltech-101) are dropped, hyphens are spaces, and proper names
  and ambiguous words are spelled out ("bat (animal)").
- ``fashion_mnist``: a slash is " or " ("T-shirt or top").
- ``cifar10``, ``coco``, ``cityscapes``, ``ade20k``: unchanged.

Your own names are only stripped: underscores, slashes and case are kept. See
:mod:`~mmlgd.datasets.names_file` for the supported files.
"""

import html
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmlgd.errors import ConfigError
from mmlgd.utils.paths import expand_user
from mmlgd.utils.suggest import suggest

from .names_file import Entries, read_entries
from .names_sniffing import MAX_LENGTH

# The sets are the stems of the files in these folders.
_CATEGORY_DIR = Path(__file__).resolve().parent / 'categories'
_TEMPLATE_DIR = Path(__file__).resolve().parent / 'prompts'
_MAX_LISTED = 10
# A string that ends with one of these is a path, even if the file does not exist.
_SUFFIXES = ('.txt', '.json', '.yaml', '.yml', '.csv', '.tsv')
# Control characters, invisible characters, replacement characters of a failed decoding,
# and surrogates. The joiners U+200C and U+200D are part of letters in several scripts.
_NOT_TEXT = re.compile(
    '[\x00-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffd'
    '\ud800-\udfff]'
)


def available_category_sets() -> list[str]:
    """Names of the built-in category sets, sorted."""
    return _stems(_CATEGORY_DIR)


def category_file(name: str) -> Path:
    """The text file of a built-in category set."""
    return _CATEGORY_DIR / f'{name}.txt'


def available_template_sets() -> list[str]:
    """Names of the built-in sets of prompt templates, sorted."""
    return _stems(_TEMPLATE_DIR)


def load_category_names(
    categories: str | Path | Sequence[str] | Mapping[str, Any],
) -> list[str]:
    """Load category names and check that each has its own text anchor.

    Args:
        categories: A built-in set (:func:`available_category_sets`); the path of a file
            (:func:`~mmlgd.datasets.names_file.read_entries`), such as a UTF-8 text file
            with one name per line; a list of names; or a dataset's ``metainfo`` with
            ``classes`` (or ``CLASSES``), which may be any of these. A string is a path
            only if it is not a built-in set.

    Returns:
        list[str]: The C names in the order of the class indices, stripped of
        surrounding whitespace.

    Raises:
        ConfigError: The set is unknown; the file cannot be read or has another format; an
            entry is not a string, is blank or contains control characters; there are no
            names; or names differ only in case, whitespace, HTML entities or the
            composition of accents, which CLIP's tokenizers ignore.
    """
    if isinstance(categories, Mapping):
        for key in ('classes', 'CLASSES'):
            if key in categories:
                return load_category_names(categories[key])
        raise ConfigError(f"metainfo has no 'classes', only {[*categories]}: add them.")
    entries = _read_entries(categories, 'category name', _CATEGORY_DIR)
    _refuse_duplicates(entries)
    return entries.values


def load_templates(templates: str | Path | Sequence[str]) -> list[str]:
    """Load prompt templates and check that each has one placeholder for the name.

    Args:
        templates: A built-in set (:func:`available_template_sets`), the path
            of a file (of the same formats as names), or a list.

    Returns:
        list[str]: Templates for ``template.format(name)``.

    Raises:
        ConfigError: See :func:`load_category_names`, or a template does not contain
            exactly one ``{}``.
    """
    entries = _read_entries(templates, 'template', _TEMPLATE_DIR)
    for index, value in enumerate(entries.values):
        if not value.count('{}') == value.count('{') == value.count('}') == 1:
            raise ConfigError(
                f'{entries.source}, {entries.place(index)}: the template {value!r} '
                "needs exactly one placeholder '{}' for the category name, and no other "
                "brace, as in 'a photo of a {}.'"
            )
    return entries.values


def _stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob('*.txt'))


def _read_entries(value: Any, noun: str, folder: Path) -> Entries:
    """At least one entry of a built-in set, a file or a list; all are valid texts."""
    if isinstance(value, str):
        value = _as_path(value, noun, folder)
    if isinstance(value, Path):
        entries = read_entries(Path(expand_user(value, f'the {noun}s')), noun)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        entries = _check_list(value, noun)
    else:
        raise ConfigError(
            f'{noun}s must be the name of a built-in set, a path or a list of strings, '
            f'got {type(value).__name__}.'
        )
    if not entries.values:
        raise ConfigError(f'{entries.source} contains no {noun}: give at least one.')
    for index, text in enumerate(entries.values):
        fault = _fault(text)
        if fault:
            place = f'{entries.source}, {entries.place(index)}'
            raise ConfigError(f'{place}: {fault}.'.format(noun=noun))
    return entries


def _fault(text: str) -> str:
    """Why a text cannot be a name or a template, and how to fix it."""
    if not text:
        return 'blank {noun}: fill it in or remove it'
    if len(text) > MAX_LENGTH:
        return f'{len(text)} characters are too long for a {{noun}}: give one per line'
    found = _NOT_TEXT.search(text)
    if found:
        return (
            f'the {{noun}} has the character U+{ord(found[0]):04X} at position '
            f'{found.start()}, which is not allowed in a {{noun}} (a tab or an invisible '
            'character): remove it'
        )
    return ''


def _as_path(text: str, noun: str, folder: Path) -> Path:
    """Path of a built-in set, or of a string that looks like a path."""
    known = _stems(folder)
    if text in known:
        return folder / f'{text}.txt'
    path = Path(expand_user(text, f'the {noun}s'))
    if path.suffix.lower() in _SUFFIXES or path.name != text or os.path.isfile(path):
        return path
    hint = suggest(text, known, count=3)
    raise ConfigError(
        f'unknown set of {noun}s {text!r}.{hint} Built in: {", ".join(known)}. '
        f'Otherwise give the path of a .txt file with one {noun} per line, or a list.'
    )


def _check_list(values: Sequence, noun: str) -> Entries:
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise ConfigError(
                f'the list of {noun}s contains {type(value).__name__} {value!r} at index '
                f'{index}: every {noun} must be a string.'
            )
    return Entries([v.strip() for v in values], f'the list of {noun}s', 'index', 0)


def _refuse_duplicates(entries: Entries) -> None:
    places: dict[str, list[int]] = {}
    for index, name in enumerate(entries.values):
        places.setdefault(_normalised(name), []).append(index)
    repeated = [
        f'{entries.values[found[0]]!r} ({", ".join(map(entries.place, found))})'
        for found in places.values()
        if len(found) > 1
    ]
    if len(repeated) > _MAX_LISTED:
        repeated[_MAX_LISTED:] = [f'and {len(repeated) - _MAX_LISTED} more']
    if repeated:
        raise ConfigError(
            f'{entries.source} has names that differ only in case, whitespace, HTML '
            'entities or composed accents, so that categories would share one text '
            f'anchor: {"; ".join(repeated)}. '
            'Rename them so that they differ.'
        )


def _normalised(name: str) -> str:
    """Part of the normalisation of CLIP's tokenizers; the bank compares the tokens."""
    text = unicodedata.normalize('NFC', html.unescape(html.unescape(name)))
    return ' '.join(text.lower().split())

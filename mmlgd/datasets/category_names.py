"""Category names and prompt templates: built-in sets, a user's file, or a list.

A name set is a text file in ``categories/``, one name a line; line ``i``
(counting from 0) names class index ``i`` of the official dataset. The files
are made from the official lists by
``tools/dataset_converters/write_category_names.py``. They differ from their
sources where a text encoder needs it:

- ``imagenet``: open_clip's names. Two pairs of them are the same; the member
  whose WordNet synset has another first word takes that word: "projectile"
  (744; "missile" is 657) and "sunglass" (836; "sunglasses" is 837).
- ``lvis_v1``: underscores are blanks; the clarification in parentheses stays,
  since names would collide without it ("bow (weapon)"). The official list
  joins two synonyms in one name, of which the first is kept
  ("monitor (computer equipment)").
- ``caltech256``: the 256 object categories in the order of the folders
  ``001.*`` to ``256.*``, without the background folder ``257.clutter``. Number
  and ``-101`` mark (taken over from Caltech-101) are dropped, hyphens are
  blanks, proper names and ambiguous words are spelled out ("bat (animal)").
- ``fashion_mnist``: a slash is " or " ("T-shirt or top").
- ``cifar10``, ``coco``, ``cityscapes``, ``ade20k``: as they are.

A user's names are only stripped: underscores, slashes and case stay.
:mod:`~mmlgd.datasets.names_file` says which files are read.
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

# A folder's stems are the names of its sets: a new file is a new set.
_CATEGORY_DIR = Path(__file__).resolve().parent / 'categories'
_TEMPLATE_DIR = Path(__file__).resolve().parent / 'prompts'
_MAX_LISTED = 10
# A string that ends so is meant as a file, though none is there.
_SUFFIXES = ('.txt', '.json', '.yaml', '.yml', '.csv', '.tsv')
# Control characters, characters that cannot be seen, what a failed decoding leaves, and
# surrogates. The joiners U+200C and U+200D are letters' parts in several scripts.
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
    """Load category names and check that each is a text anchor of its own.

    Args:
        categories: A built-in set (:func:`available_category_sets`); the path
            of a file (:func:`~mmlgd.datasets.names_file.read_entries`), as a
            UTF-8 text file with one name a line; a list of names; or a
            dataset's ``metainfo`` with ``classes`` (or ``CLASSES``), itself
            any of these. A string is a built-in set before it is a path.

    Returns:
        list[str]: The C names in the order of the class indices, stripped of
        surrounding blanks.

    Raises:
        ConfigError: The set is unknown; the file cannot be read or is of another
            format; an entry is not a string, is blank or holds control characters;
            there are no names; or names differ only in case, blanks, HTML entities
            and the composition of accents, which CLIP's tokenizers ignore.
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
    """Load prompt templates and check that each has one slot for a name.

    Args:
        templates: A built-in set (:func:`available_template_sets`), the path
            of a file (read as one of names is), or a list.

    Returns:
        list[str]: Templates for ``template.format(name)``.

    Raises:
        ConfigError: As of :func:`load_category_names`, or a template has not
            exactly one ``{}``.
    """
    entries = _read_entries(templates, 'template', _TEMPLATE_DIR)
    for index, value in enumerate(entries.values):
        if not value.count('{}') == value.count('{') == value.count('}') == 1:
            raise ConfigError(
                f'{entries.source}, {entries.place(index)}: the template {value!r} '
                "needs exactly one slot '{}' for the category name, and no other "
                "brace, as in 'a photo of a {}.'"
            )
    return entries.values


def _stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob('*.txt'))


def _read_entries(value: Any, noun: str, folder: Path) -> Entries:
    """Entries of a built-in set, a file or a list: at least one, each a text."""
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
        raise ConfigError(f'{entries.source} holds no {noun}: give at least one.')
    for index, text in enumerate(entries.values):
        fault = _fault(text)
        if fault:
            place = f'{entries.source}, {entries.place(index)}'
            raise ConfigError(f'{place}: {fault}.'.format(noun=noun))
    return entries


def _fault(text: str) -> str:
    """What keeps a text from being a name or a template, and how to fix it."""
    if not text:
        return 'blank {noun}: fill it or take it out'
    if len(text) > MAX_LENGTH:
        return f'{len(text)} characters cannot be one {{noun}}: give one a line'
    found = _NOT_TEXT.search(text)
    if found:
        return (
            f'the {{noun}} has the character U+{ord(found[0]):04X} at position '
            f'{found.start()}, which is not part of a text (a tab, or a character that '
            'cannot be seen): remove it'
        )
    return ''


def _as_path(text: str, noun: str, folder: Path) -> Path:
    """The file of a built-in set, else the string as a path if it looks like one."""
    known = _stems(folder)
    if text in known:
        return folder / f'{text}.txt'
    path = Path(expand_user(text, f'the {noun}s'))
    if path.suffix.lower() in _SUFFIXES or path.name != text or os.path.isfile(path):
        return path
    hint = suggest(text, known, count=3)
    raise ConfigError(
        f'unknown set of {noun}s {text!r}.{hint} Built in: {", ".join(known)}. Else '
        f'give the path of a .txt file with one {noun} a line, or a list.'
    )


def _check_list(values: Sequence, noun: str) -> Entries:
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise ConfigError(
                f'the list of {noun}s holds {type(value).__name__} {value!r} at index '
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
            f'{entries.source} has names that are the same but for case, blanks, HTML '
            'entities or composed accents, so that categories would share one text '
            f'anchor: {"; ".join(repeated)}. '
            'Rename them so that they differ.'
        )


def _normalised(name: str) -> str:
    """A part of what CLIP's tokenizers even out; the bank compares all of it."""
    text = unicodedata.normalize('NFC', html.unescape(html.unescape(name)))
    return ' '.join(text.lower().split())

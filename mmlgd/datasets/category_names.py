"""Category names and prompt templates: built-in sets, a user's file, or a list.

A name set is a text file in ``categories/``, one name a line; line ``i``
(counting from 0) names class index ``i`` of the official data set. The files
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
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmlgd.errors import ConfigError
from mmlgd.utils.suggest import suggest

# A folder's stems are the names of its sets: a new file is a new set.
_CATEGORY_DIR = Path(__file__).resolve().parent / 'categories'
_TEMPLATE_DIR = Path(__file__).resolve().parent / 'prompts'
_MAX_LISTED = 10


class _Entries(NamedTuple):
    """Stripped entries, and how to tell a person where one of them stands."""

    values: list[str]
    source: str
    unit: str
    first: int

    def place(self, index: int) -> str:
        return f'{self.unit} {index + self.first}'


def available_category_sets() -> list[str]:
    """Names of the built-in category sets, sorted."""
    return _stems(_CATEGORY_DIR)


def available_template_sets() -> list[str]:
    """Names of the built-in sets of prompt templates, sorted."""
    return _stems(_TEMPLATE_DIR)


def load_category_names(
    categories: str | Path | Sequence[str] | Mapping[str, Any],
) -> list[str]:
    """Load category names and check that each is a text anchor of its own.

    Args:
        categories: A built-in set (:func:`available_category_sets`); the path
            of a UTF-8 text file with one name a line; a list of names; or a
            data set's ``metainfo`` with ``classes`` (or ``CLASSES``), itself
            any of these. A string is a built-in set before it is a path.

    Returns:
        list[str]: The C names in the order of the class indices, stripped of
        surrounding blanks.

    Raises:
        ConfigError: If the set is unknown, the file cannot be read, an entry
            is no string or blank, there are no names, or names are the same
            but for case and blanks, which CLIP's tokenizers ignore.
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
            of a UTF-8 text file with one template a line, or a list.

    Returns:
        list[str]: Templates for ``template.format(name)``.

    Raises:
        ConfigError: If the set is unknown, the file cannot be read, there are
            no templates, or a template has not exactly one ``{}``.
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


def _read_entries(value: Any, noun: str, folder: Path) -> _Entries:
    """Entries of a built-in set, a file or a list; none blank, at least one."""
    if isinstance(value, str):
        value = _as_path(value, noun, folder)
    if isinstance(value, Path):
        entries = _read_lines(value, noun)
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
        if not text:
            place = f'{entries.source}, {entries.place(index)}'
            raise ConfigError(f'{place}: blank {noun}: fill it or take it out.')
    return entries


def _as_path(text: str, noun: str, folder: Path) -> Path:
    """The file of a built-in set, else the string as a path if it looks like one."""
    known = _stems(folder)
    if text in known:
        return folder / f'{text}.txt'
    path = Path(text).expanduser()
    if path.suffix == '.txt' or path.name != text or os.path.isfile(path):
        return path
    hint = suggest(text, known, count=3)
    raise ConfigError(
        f'unknown set of {noun}s {text!r}.{hint} Built in: {", ".join(known)}. Else '
        f'give the path of a .txt file with one {noun} a line, or a list.'
    )


def _read_lines(path: Path, noun: str) -> _Entries:
    try:
        # utf-8-sig drops the byte order mark that Windows editors write.
        text = path.read_text(encoding='utf-8-sig')
    except OSError as error:
        reason = f'{path.absolute()}: {error.strerror}'
        raise ConfigError(f'cannot read the {noun}s in {reason}.') from error
    except UnicodeDecodeError as error:
        reason = f'is not UTF-8 text (byte {error.start}): save it as UTF-8.'
        raise ConfigError(f'{path} {reason}') from error
    lines = text.rstrip().split('\n') if text.strip() else []
    return _Entries([line.strip() for line in lines], str(path), 'line', 1)


def _check_list(values: Sequence, noun: str) -> _Entries:
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise ConfigError(
                f'the list of {noun}s holds {type(value).__name__} {value!r} at index '
                f'{index}: every {noun} must be a string.'
            )
    return _Entries([v.strip() for v in values], f'the list of {noun}s', 'index', 0)


def _refuse_duplicates(entries: _Entries) -> None:
    places: dict[str, list[int]] = {}
    for index, name in enumerate(entries.values):
        places.setdefault(' '.join(name.casefold().split()), []).append(index)
    repeated = [
        f'{entries.values[found[0]]!r} ({", ".join(map(entries.place, found))})'
        for found in places.values()
        if len(found) > 1
    ]
    if len(repeated) > _MAX_LISTED:
        repeated[_MAX_LISTED:] = [f'and {len(repeated) - _MAX_LISTED} more']
    if repeated:
        raise ConfigError(
            f'{entries.source} has names that are the same but for case and blanks, '
            f'so that categories would share one text anchor: {"; ".join(repeated)}. '
            'Rename them so that they differ.'
        )

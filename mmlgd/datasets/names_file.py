"""Reading of names or templates from a text, JSON or YAML file.

Files of other formats are refused. Nothing in a file is executed, and YAML tags and
aliases are refused.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mmlgd.errors import ConfigError

from .names_sniffing import find_other_format

# Maximum file sizes in MiB. A JSON file may contain the annotations of a dataset; YAML is
# slow to parse.
_MAX_SIZES = {'.json': 256, '.yaml': 2, '.yml': 2}
_MAX_SIZE = 16
_MAX_DEPTH = 20
_TABLES = ('.csv', '.tsv')
# Keys of the names in files of other tools: metainfo of a dataset, COCO, YOLO and Hugging
# Face.
_KEYS = ('classes', 'CLASSES', 'categories', 'names', 'id2label')


class Entries(NamedTuple):
    """Stripped texts, and their positions for messages.

    Attributes:
        values (list[str]): The texts.
        source (str): The file or list that contains them.
        unit (str): Unit of the positions, such as 'line'.
        first (int): Number of the first position.
    """

    values: list[str]
    source: str
    unit: str
    first: int

    def place(self, index: int) -> str:
        """The position of a text, for a message."""
        return f'{self.unit} {index + self.first}'


def read_entries(path: Path, noun: str) -> Entries:
    """Read a file of names or templates.

    ``.json``, ``.yaml`` and ``.yml`` files contain a list of strings; a mapping of the
    indices 0 to C - 1 to names, or of names to these indices; COCO's ``categories``; or
    one of these under 'classes', 'names' or 'id2label'. Any other file is UTF-8 text with
    one name per line.

    Args:
        path (Path): The file.
        noun (str): What the file contains, for messages.

    Raises:
        ConfigError: The file cannot be read, or has another format.
    """
    suffix = path.suffix.lower()
    if suffix in _TABLES:
        raise ConfigError(
            f'{path} is a table, and the column of the {noun}s is unknown. Save this '
            f'column, without a header, as a .txt file with one {noun} per line.'
        )
    text = _decode(path, _read_bytes(path, noun), noun)
    if suffix in _MAX_SIZES:
        values = _find_texts(_parse(path, text), str(path), noun)
        return Entries([value.strip() for value in values], str(path), 'index', 0)
    lines = text.rstrip().split('\n') if text.strip() else []
    entries = Entries([line.strip() for line in lines], str(path), 'line', 1)
    found = find_other_format(entries.values)
    if found:
        raise ConfigError(
            f'{path}: {found} Its contents would become wrong {noun}s. If they are '
            'correct, save them as a JSON list of strings in a .json file.'
        )
    return entries


def _read_bytes(path: Path, noun: str) -> bytes:
    limit = _MAX_SIZES.get(path.suffix.lower(), _MAX_SIZE)
    try:
        # Reading from a device or a pipe might never end.
        is_other = path.exists() and not (path.is_file() or path.is_dir())
        data = b''
        if not is_other:
            with path.open('rb') as stream:
                data = stream.read(limit * 1024**2 + 1)
    except OSError as error:
        reason = f'{path.absolute()}: {error.strerror}'
        raise ConfigError(f'cannot read the {noun}s in {reason}.') from error
    if is_other or len(data) > limit * 1024**2:
        kind = 'not a regular file' if is_other else f'larger than {limit} MiB'
        raise ConfigError(f'{path} is {kind}: give a file of {noun}s.')
    return data


def _decode(path: Path, data: bytes, noun: str) -> str:
    if data.startswith((b'\xff\xfe', b'\xfe\xff')):
        raise ConfigError(f'{path} is UTF-16 text: save it as UTF-8.')
    if b'\0' in data:
        raise ConfigError(
            f'{path} is binary, or text of another encoding (byte {data.index(0)} is '
            f'NUL): give a UTF-8 text file with one {noun} per line.'
        )
    try:
        # utf-8-sig drops the byte order mark that Windows editors write.
        text = data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        reason = f'is not UTF-8 text (byte {error.start}): save it as UTF-8.'
        raise ConfigError(f'{path} {reason}') from error
    return text.replace('\r\n', '\n').replace('\r', '\n')


_Loader: Any = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


class _PlainLoader(_Loader):
    """Loader of plain YAML that refuses duplicate keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        found = super().construct_mapping(node, deep)
        if len(found) < len(node.value):
            raise yaml.YAMLError('a key occurs twice')
        return found


def _parse_yaml(text: str) -> Any:
    depth = 0
    for event in yaml.parse(text, _PlainLoader):
        # Through aliases, a small file can grow without bounds.
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError('it uses aliases (*name)')
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise yaml.YAMLError(f'it is nested deeper than {_MAX_DEPTH} levels')
    return yaml.load(text, _PlainLoader)


def _parse(path: Path, text: str) -> Any:
    is_json = path.suffix.lower() == '.json'
    try:
        if is_json:
            return json.loads(text, object_pairs_hook=_without_repeats)
        return _parse_yaml(text)
    except Exception as error:  # YAML's constructors raise many types
        reason = ' '.join(str(error).split())[:300] or type(error).__name__
        kind = 'JSON' if is_json else 'YAML of plain lists, mappings and strings'
        raise ConfigError(f'{path} is not {kind}: {reason}.') from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict:
    if len(dict(pairs)) < len(pairs):
        raise ValueError('a key occurs twice')
    return dict(pairs)


def _find_texts(data: Any, place: str, noun: str) -> list[str]:
    """Texts of a parsed file, in the order of their indices."""
    if isinstance(data, Mapping):
        key = next((k for k in _KEYS if isinstance(data.get(k), (list, dict))), None)
        if key is not None:
            data, place = data[key], f'{place}, {key!r}'
    if isinstance(data, Mapping):
        data = _in_order(data, place, noun)
    if not isinstance(data, list):
        raise ConfigError(
            f'{place} contains {type(data).__name__}, but must be a list of {noun}s.'
        )
    if data and all(isinstance(each, Mapping) and 'name' in each for each in data):
        data = _of_categories(data, place)
    for index, value in enumerate(data):
        if not isinstance(value, str):
            raise ConfigError(
                f'{place}, index {index} is {type(value).__name__}, but every {noun} must '
                'be a string; quote it if it is one.'
            )
    return data


def _of_categories(data: list, place: str) -> list:
    """Names of COCO's categories."""
    ids = [each.get('id', number) for number, each in enumerate(data)]
    if not all(type(each) is int for each in ids) or ids != sorted(set(ids)):
        raise ConfigError(
            f'{place}: the ids of the categories do not increase, so the order of the '
            'classes is ambiguous. Sort them by id.'
        )
    return [each['name'] for each in data]


def _in_order(data: Mapping, place: str, noun: str) -> list:
    """Values of {index: name}, or keys of {name: index}, with the indices 0 to C - 1."""
    for pairs in (data.items(), [(index, name) for name, index in data.items()]):
        names = {_as_index(index): name for index, name in pairs}
        if data and names.keys() == set(range(len(data))):
            return [names[index] for index in range(len(data))]
    keys = ', '.join([str(key)[:40] for key in data if not isinstance(key, int)][:5])
    raise ConfigError(
        f'{place} is a mapping ({keys or "of numbers"}). It must map the indices 0 to '
        f'C - 1 to {noun}s, or {noun}s to these indices, or have the {noun}s under one of '
        f'the keys {", ".join(map(repr, _KEYS))}.'
    )


def _as_index(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch('[0-9]{1,9}', value):
        return int(value)
    return value if type(value) is int else None

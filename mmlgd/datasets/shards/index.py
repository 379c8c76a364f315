"""The index of shards: where each image is, in files that are mapped into memory."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmlgd.datasets.image_folder import is_hidden
from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.atomic import replace_folder
from mmlgd.utils.printable import printable

from .storage import Range, Stat, Storage
from .tar import BLOCK, has_size, list_members, parse_header

_FORMAT = dict(format='mmlgd shard index', version=1)
_ENTRY = np.dtype([('offset', '<u8'), ('size', '<u8'), ('name_end', '<u8')])
#: Bytes that are read at once while headers are searched.
_LOCAL_STEP, _REMOTE_STEP = 2**12, 2**23
COMMAND = 'mmlgd index-shards'


class Shard(NamedTuple):
    """A shard in an index: name, size and stamp when it was read, number of images."""

    name: str
    size: int
    stamp: str
    count: int


class Entry(NamedTuple):
    """Where an image is: its shard, the offset and size of its data, its name there."""

    shard: str
    offset: int
    size: int
    name: str


class ShardIndex:
    """An index, opened for reading. Its memory does not depend on the number of images.

    Args:
        path: Folder that :func:`build_index` wrote.

    Attributes:
        path (Path): That folder.
        shards (list[Shard]): The shards, in the order of the images.
        extensions (tuple[str, ...]): Endings of the indexed images.
        digest (str): SHA-256 of its table of shards.

    Raises:
        DataError: There is no index, or it is damaged or of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            text = (self.path / 'index.json').read_bytes()
            self.digest = hashlib.sha256(text).hexdigest()
            content = json.loads(text)
            self._read_content(content)
        except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
            raise self.damaged(f'{type(error).__name__}: {error}') from error

    def _read_content(self, content: dict) -> None:
        if {key: content[key] for key in _FORMAT} != _FORMAT:
            raise ValueError(f'it is not an index of version {_FORMAT["version"]}')
        self.shards = [Shard(*row) for row in content['shards']]
        self.extensions = tuple(content['extensions'])
        for shard in self.shards:
            kinds = [type(value) for value in shard]
            if kinds != [str, int, str, int] or min(shard.size, shard.count) < 0:
                raise ValueError(f'{shard!r:.200} is not a shard')
        self._ends = np.cumsum([shard.count for shard in self.shards], dtype=np.int64)
        if not self.shards or not self._ends[-1] or not all(
            isinstance(each, str) for each in self.extensions
        ):  # fmt: skip
            raise ValueError('it has no images')
        shape = (int(self._ends[-1]),)
        sizes = {
            'entries.bin': shape[0] * _ENTRY.itemsize,
            'names.bin': content['name_bytes'],
        }
        for name, size in sizes.items():
            if (found := (self.path / name).stat().st_size) != size:
                raise ValueError(f'{name} has {found} bytes instead of {size}')
        # Rows of plain integers: items of structured arrays are slow to take apart.
        self._entries, self._names = (
            np.memmap(self.path / name, dtype, 'r', shape=length).view(np.ndarray)
            for name, dtype, length in (
                ('entries.bin', np.dtype('<u8'), (*shape, len(_ENTRY))),
                ('names.bin', np.dtype('u1'), None),
            )
        )

    def __reduce__(self) -> tuple:
        # A spawned worker maps the files itself.
        return type(self), (self.path,)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def counts(self) -> list[int]:
        """Number of images of each shard."""
        return [shard.count for shard in self.shards]

    def __getitem__(self, index: int) -> Entry:
        """The image ``index``, in [0, N)."""
        shard = self.shards[self._ends.searchsorted(index, side='right')]
        offset, size, end = self._entries[index].tolist()
        start = int(self._entries[index - 1, 2]) if index else 0
        name = self._names[start:end].tobytes().decode('utf-8', 'surrogateescape')
        if not BLOCK <= offset <= offset + size <= shard.size or not name:
            raise self.damaged(f'image {index} has invalid entries')
        return Entry(shard.name, offset, size, name)

    def last_entries(self) -> Iterator[Entry]:
        """The last image of each shard that has images."""
        return (self[int(end) - 1] for end in np.unique(self._ends[self._ends > 0]))

    def damaged(self, reason: str) -> DataError:
        """An error that names the index and how to get a correct one."""
        return DataError(
            f'The index of shards {self.path} is missing or damaged ({printable(reason)}). '
            f'Write it again: `{COMMAND} DATA_ROOT --index {self.path}`; runs on several '
            'machines need it on each of them.'
        )


def build_index(
    storage: Storage,
    names: Sequence[str],
    extensions: Sequence[str],
    path: str | Path,
    workers: int = 4,
) -> ShardIndex:
    """Read the headers of all shards and write an index.

    Local shards are not read beyond the headers; remote ones are read whole unless their
    members are larger than a request of 8 MB.

    Args:
        storage: Where the shards are.
        names: The shards.
        extensions: Lower-case endings of the images; other members are skipped.
        path: Folder to write.
        workers: Shards that are read at the same time. Defaults to 4.

    Raises:
        DataError: A shard is missing, truncated or damaged, or there is no image.
        ConfigError: The folder cannot be written.
    """
    path = Path(path)
    stats = _present(storage, names)
    rows, name_bytes = [], 0
    try:
        with (
            replace_folder(path) as part,
            open(part / 'entries.bin', 'wb') as entries,
            open(part / 'names.bin', 'wb') as texts,
            closing(_scan_all(storage, names, stats, extensions, workers)) as scans,
        ):
            for name, stat, (table, text) in zip(names, stats, scans):
                table['name_end'] += name_bytes
                name_bytes += len(text)
                entries.write(table.tobytes())
                texts.write(text)
                rows.append(Shard(name, *stat, len(table)))
            if not name_bytes:
                raise DataError(
                    f'The {len(names)} shards in {storage.root} have no image. Searched '
                    f'for members that end with {", ".join(extensions)}; set extensions.'
                )
            content = dict(
                _FORMAT, extensions=[*extensions], name_bytes=name_bytes, shards=rows
            )
            (part / 'index.json').write_text(json.dumps(content), encoding='utf-8')
    except OSError as error:
        raise ConfigError(
            f'The index {path} cannot be written: {error.strerror}; set index of the '
            'dataset, or --index, to another folder.'
        ) from error
    return ShardIndex(path)


def verify_index(index: ShardIndex, storage: Storage, names: Sequence[str]) -> None:
    """Compare an index with the shards: names, sizes, stamps, and a header of each.

    Raises:
        DataError: A shard is missing, changed, or not in the index.
    """
    fix = f'Run `{COMMAND}` again, or put the old shards back.'
    indexed = [shard.name for shard in index.shards]
    if indexed != [*names]:
        unknown = sorted({*names} - {*indexed}) or sorted({*indexed} - {*names})
        first = storage.path(unknown[0]) if unknown else 'their order'
        raise DataError(
            f'The index {index.path} has {len(indexed)} shards, but the dataset names '
            f'{len(names)}; the first difference is {first}. {fix}'
        )
    for shard, stat in zip(index.shards, _present(storage, names)):
        if (shard.size, shard.stamp) != stat:
            raise DataError(
                f'The shard {storage.path(shard.name)} changed since it was indexed in '
                f'{index.path}: it had {shard.size} bytes (stamp {shard.stamp}), now '
                f'{stat.size} ({stat.stamp}). {fix}'
            )
    last = [*index.last_entries()]
    ranges = [Range(one.shard, one.offset - BLOCK, one.offset) for one in last]
    for entry, block in zip(last, storage.read_many(ranges)):
        check_header(storage, entry, block)


def check_header(storage: Storage, entry: Entry, block: bytes) -> None:
    """Compare the 512 bytes before an image with its entry.

    Raises:
        DataError: They are not a header, or that of a member of another size.
    """
    if has_size(block, entry.size):
        return
    path = storage.path(entry.shard)
    header = parse_header(block, entry.offset - BLOCK, path)
    # Larger sizes are in an extended header.
    if header.size != entry.size and entry.size < 8 * 2**30:
        raise DataError(
            f'The shard {path} has a member of {header.size} bytes at byte {entry.offset}, '
            f'but its index one of {entry.size}: it changed. Run `{COMMAND}` again.'
        )


def _present(storage: Storage, names: Sequence[str]) -> list[Stat]:
    found = storage.stat(names)
    missing = [storage.path(name) for name, stat in zip(names, found) if stat is None]
    if missing or not found:
        raise DataError(
            f'{len(missing)} of {len(names)} shards do not exist, the first is '
            f'{(missing or ["?"])[0]}. Put them back, or correct data_root and shards of '
            'the dataset in the config.'
        )
    return [stat for stat in found if stat is not None]


def _scan_all(storage: Storage, names, stats, extensions, workers) -> Iterator[Any]:
    """Tables and names of the shards, of a few at a time."""
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(names), 4 * workers):
            part = slice(first, first + 4 * workers)
            scan = lambda name, stat: _scan(storage, name, stat.size, extensions)  # noqa: E731
            yield from pool.map(scan, names[part], stats[part])


def _scan(
    storage: Storage, name: str, size: int, extensions: Sequence[str]
) -> tuple[np.ndarray, bytes]:
    reader = _SteppedReader(storage, name, size)
    rows, texts, end = [], [], 0
    for member in list_members(reader.read, size, storage.path(name)):
        parts = [part for part in member.name.split('/') if part not in ('.', '')]
        is_image = member.name.lower().endswith(tuple(extensions))
        if is_image and not any(is_hidden(part) for part in parts if part != '..'):
            text = '/'.join(parts).encode('utf-8', 'surrogateescape')
            end += len(text)
            texts.append(text)
            rows.append((member.offset, member.size, end))
    return np.array(rows, _ENTRY), b''.join(texts)


class _SteppedReader:
    """Reads a shard forwards in steps, so that few requests are needed."""

    def __init__(self, storage: Storage, name: str, size: int) -> None:
        self.storage, self.name, self.size = storage, name, size
        self.step = _REMOTE_STEP if storage.is_remote else _LOCAL_STEP
        self.start, self.content = 0, b''

    def read(self, start: int, end: int) -> bytes:
        stop = self.start + len(self.content)
        if not self.start <= start <= end <= stop:
            stop = min(max(end, start + self.step), self.size)
            if start >= stop:
                return b''
            self.start = start
            self.content = self.storage.read(Range(self.name, start, stop))
        return self.content[start - self.start : end - self.start]

"""Writes the index of shards, and compares it with them."""

import json
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from mmlgd.datasets.image_folder import is_hidden
from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.atomic import replace_folder
from mmlgd.utils.progress import track

from .index import COMMAND, ENTRY, FORMAT, Entry, Shard, ShardIndex
from .storage import Range, Stat, Storage
from .tar import BLOCK, has_size, list_members, parse_header

#: Bytes that are read at once while headers are searched.
_LOCAL_STEP, _REMOTE_STEP = 2**12, 2**23


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
        DataError: A shard is missing, truncated or damaged, or no image is found.
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
            for name, stat, (table, text) in zip(
                track(names, 'Indexing shards'), stats, scans
            ):
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
                FORMAT, extensions=[*extensions], name_bytes=name_bytes, shards=rows
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
    ranges = [
        Range(one.shard, one.offset - BLOCK, one.offset, one.name) for one in last
    ]
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


def _scan_all(
    storage: Storage,
    names: Sequence[str],
    stats: Sequence[Stat],
    extensions: Sequence[str],
    workers: int,
) -> Generator[tuple[np.ndarray, bytes], None, None]:
    """Tables and names of the shards, of a few at a time."""
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(names), 4 * workers):
            part = slice(first, first + 4 * workers)
            sizes = [stat.size for stat in stats[part]]
            scan = partial(_scan, storage, extensions)
            yield from pool.map(scan, names[part], sizes)


def _scan(
    storage: Storage, extensions: Sequence[str], name: str, size: int
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
    return np.array(rows, ENTRY), b''.join(texts)


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

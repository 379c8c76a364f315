"""The index of shards: where each image is, in files that are mapped into memory."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmlgd.datasets.image_names import split_names
from mmlgd.errors import DataError
from mmlgd.utils.printable import printable

from .tar import BLOCK

FORMAT = dict(format='mmlgd shard index', version=1)
ENTRY = np.dtype([('offset', '<u8'), ('size', '<u8'), ('name_end', '<u8')])
COMMAND = 'mmlgd index-shards'
#: Names that are read at once.
_BLOCK = 4096


class Shard(NamedTuple):
    """A shard in an index: name, size and stamp when it was read, number of images."""

    name: str
    size: int
    stamp: str
    images: int


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
        if {key: content[key] for key in FORMAT} != FORMAT:
            raise ValueError(f'it is not an index of version {FORMAT["version"]}')
        self.shards = [Shard(*row) for row in content['shards']]
        self.extensions = tuple(content['extensions'])
        for shard in self.shards:
            kinds = [type(value) for value in shard]
            if kinds != [str, int, str, int] or min(shard.size, shard.images) < 0:
                raise ValueError(f'{shard!r:.200} is not a shard')
        self._ends = np.cumsum([shard.images for shard in self.shards], dtype=np.int64)
        if not self.shards or not self._ends[-1] or not all(
            isinstance(each, str) for each in self.extensions
        ):  # fmt: skip
            raise ValueError('it has no images')
        shape = (int(self._ends[-1]),)
        sizes = {
            'entries.bin': shape[0] * ENTRY.itemsize,
            'names.bin': content['name_bytes'],
        }
        for name, size in sizes.items():
            if (found := (self.path / name).stat().st_size) != size:
                raise ValueError(f'{name} has {found} bytes instead of {size}')
        # Rows of plain integers: items of structured arrays are slow to take apart.
        self._entries, self._names = (
            np.memmap(self.path / name, dtype, 'r', shape=length).view(np.ndarray)
            for name, dtype, length in (
                ('entries.bin', np.dtype('<u8'), (*shape, ENTRY.itemsize // 8)),
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
        return [shard.images for shard in self.shards]

    def __getitem__(self, index: int) -> Entry:
        """The image ``index``, in [0, N)."""
        shard = self.shards[self._ends.searchsorted(index, side='right')]
        offset, size, end = self._entries[index].tolist()
        start = int(self._entries[index - 1, 2]) if index else 0
        name = self._names[start:end].tobytes().decode('utf-8', 'surrogateescape')
        if not BLOCK <= offset <= offset + size <= shard.size or not name:
            raise self.damaged(f'image {index} has invalid entries')
        return Entry(shard.name, offset, size, name)

    def names(self, start: int, stop: int) -> Iterator[tuple[str, str]]:
        """Shard and name of the images [start, stop), read in blocks."""
        for first in range(start, stop, _BLOCK):
            last = min(first + _BLOCK, stop)
            begin = int(self._entries[first - 1, 2]) if first else 0
            ends = self._entries[first:last, 2].astype(np.int64)
            if (np.diff(ends, prepend=begin) <= 0).any() or ends[-1] > len(self._names):
                raise self.damaged(f'images {first} to {last} have invalid entries')
            places = np.arange(first, last)
            shards = self._ends.searchsorted(places, side='right').tolist()
            names = split_names(self._names, begin, ends)
            yield from zip([self.shards[shard].name for shard in shards], names)

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

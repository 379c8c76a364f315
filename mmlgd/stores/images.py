"""The image table of a store: by what its images are known, and if they have changed."""

import hashlib
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import numpy as np

from mmlgd.datasets.image_list import (
    ListedImage,
    encode_name,
    list_image,
    list_images_of,
)
from mmlgd.errors import DataError

from .shards import Shard, ShardReader, write_shard

_HASH = np.dtype(('u1', (16,)))
#: Images of which the content is compared when a store is opened.
HASHED_SAMPLE = 64


def content_hash(source: str | np.ndarray | Callable[[], bytes]) -> bytes:
    """BLAKE2b of 16 bytes, of an encoded image (or its path) or of pixels."""
    digest = hashlib.blake2b(digest_size=_HASH.itemsize)
    if isinstance(source, np.ndarray):
        digest.update(f'{source.dtype}{source.shape}'.encode())
        digest.update(np.ascontiguousarray(source).data)
    elif callable(source):
        digest.update(source())
    else:
        try:
            digest.update(Path(source).read_bytes())
        except OSError as error:
            message = f'The image {ascii(source)} cannot be read: {error}.'
            raise DataError(message) from error
    return digest.digest()


def identifier(image: ListedImage) -> bytes:
    """By what an image is known: the bytes of its name, or of its pixels' hash."""
    return encode_name(image.name) or b'\0' + content_hash(image.source)


@dataclass
class ImageTable:
    """Name and content hash of each row's image.

    ``names`` are paths below the dataset's folder, b'' for an image in memory;
    ``hashes`` are (N, 16) uint8.
    """

    names: Sequence[bytes]
    hashes: np.ndarray

    def write(self, path: Path) -> None:
        """Write a shard of the table."""
        names = b''.join(name + b'\0' for name in self.names)
        write_shard(path, dict(names=np.frombuffer(names, 'u1'), hashes=self.hashes))

    @classmethod
    def read(cls, store: Path, shards: Sequence[Shard]) -> 'ImageTable':
        """Read the shards of a table; DataError if one is missing or malformed."""
        names, hashes = [], [np.empty((0, _HASH.itemsize), np.uint8)]
        for shard in shards:
            reader = ShardReader(shard.path(store), shard.size, dict(hashes=_HASH))
            columns = reader.columns()
            found = columns.get('names', hashes[0]).tobytes().split(b'\0')
            if len(found) != shard.size + 1 or found[-1]:
                raise reader.fault(f'does not have {shard.size} names')
            names += found[:-1]
            hashes.append(columns['hashes'])
        return cls(names, np.concatenate(hashes))

    def identifiers(self) -> list[bytes]:
        """What :func:`identifier` gives for each row."""
        pairs = zip(self.names, self.hashes)
        return [name or b'\0' + one.tobytes() for name, one in pairs]

    def name(self, row: int) -> str:
        """Name of a row's image, for people."""
        return self.names[row].decode('utf-8', 'backslashreplace') or f'image {row}'

    def find_rows(self, dataset: Sized, store: Path) -> np.ndarray:
        """Rows of a dataset's images: (N,) int64, -1 where the table lacks one.

        The content of a sample is compared (else a DataError); no other file is read.
        """
        wanted = [identifier(image) for image in list_images_of(dataset)]
        # In the same order, equal images keep a row each; otherwise all have the first.
        rows: np.ndarray = np.arange(len(wanted), dtype=np.int64)
        if wanted != self.identifiers():
            row_of = self._first_rows()
            rows = np.array([row_of.get(one, -1) for one in wanted], np.int64)
        found = np.flatnonzero(rows >= 0)
        for index in found[:: max(1, len(found) // HASHED_SAMPLE)].tolist():
            source = list_image(dataset, index).source
            self.check_hash(int(rows[index]), content_hash(source), store)
        return rows

    def indices(self, rows: np.ndarray) -> np.ndarray:
        """Inverse of :meth:`find_rows`: (N,) int64, -1 for a row without an image."""
        index_of = dict(zip(rows.tolist(), range(len(rows))))
        row_of = self._first_rows()
        pairs = ((row, row_of[one]) for row, one in enumerate(self.identifiers()))
        found = [index_of.get(row, index_of.get(first, -1)) for row, first in pairs]
        return np.array(found, np.int64)

    def check_hash(self, row: int, found: bytes, store: Path) -> None:
        """Refuse with a DataError an image whose content is not that of its row."""
        if found != self.hashes[row].tobytes():
            raise DataError(
                f'The image {self.name(row)} is not what the teacher of the store {store} '
                'saw: its content differs. Put the old file back, or build another store.'
            )

    def explain_unknown(self, name: str) -> str:
        """Names the row whose name differs in its Unicode form only; else ''."""
        wanted = normalize('NFC', name)
        for shown in map(self.name, range(len(self.names) if name else 0)):
            if normalize('NFC', shown) == wanted:
                return (
                    f' The store has {ascii(shown)}, which is {ascii(name)} in another '
                    'Unicode form (NFC is usual on Linux, NFD on macOS): give the files '
                    'their old names, for example with convmv.'
                )
        return ''

    def _first_rows(self) -> dict[bytes, int]:
        return {one: row for row, one in reversed([*enumerate(self.identifiers())])}

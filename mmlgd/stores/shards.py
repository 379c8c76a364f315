"""Shards, the files of a store: records, each with a checksum of content and place."""

import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmlgd.datasets.shards.storage import LocalStorage, Range
from mmlgd.errors import DataError
from mmlgd.pixels.files import PLACE
from mmlgd.utils.atomic import write_atomically

#: What an embedding can be stored as, with numpy's name of the type.
EMBEDDING_DTYPES = dict(float16='<f2', int8='i1')
#: Bytes of the checksum with which each record begins.
CRC_BYTES = 4


class Shard(NamedTuple):
    """A run of ``size`` rows of a view, or of the image table where ``view`` is None.

    A finished shard is never modified: images that come later get their own. ``teacher``
    is the fingerprint of the teacher that the store is of.
    """

    view: int | None
    first: int
    size: int
    teacher: str = ''

    @property
    def folder(self) -> str:
        """Folder of the file in the store."""
        return 'images' if self.view is None else f'views/{self.view:03}'

    def name(self, kind: str = 'records') -> str:
        """Path of the finished shard in the store, or of its pixels (``tar``)."""
        return f'{self.folder}/{self.first:09}.{kind}'

    def path(self, store: str | Path) -> Path:
        """The finished shard."""
        return Path(store) / self.name()

    def seal(self, row: int, content: bytes) -> bytes:
        """A record: CRC-32 of its place and content, and the content."""
        place = f'{self.teacher} {self.folder} {row} '.encode(errors='backslashreplace')
        checksum = zlib.crc32(content, zlib.crc32(place))
        return checksum.to_bytes(CRC_BYTES, 'little') + content

    def unseal(self, row: int, record: bytes, store: str | Path) -> bytes:
        """The content of a record; DataError if another one was written at its place."""
        content = record[CRC_BYTES:]
        if record != self.seal(row, content):
            state = f'has a wrong checksum at row {row} (damaged, or of another place)'
            raise self.fault(store, state)
        return content

    def fault(self, store: str | Path, state: str, kind: str = 'records') -> DataError:
        """An error about this shard or its pixels, with how to fix it."""
        return DataError(
            f'The shard {Path(store) / self.name(kind)} {state}; copy it again, or '
            f'remove {self.path(store)} and run tools/build_stored_views.py, which '
            'computes it again.'
        )


def row_type(embedding_dtype: str, embed_dims: int, has_pixels: bool) -> np.dtype:
    """Type of the content of a view's record."""
    place = PLACE if has_pixels else []
    scale = [('scale', '<f4')] if embedding_dtype == 'int8' else []
    embedding = ('embedding', EMBEDDING_DTYPES[embedding_dtype], (embed_dims,))
    return np.dtype([('pixels', '<u4'), *place, *scale, embedding])


def pack_rows(
    pixels: np.ndarray, embeddings: np.ndarray, dtype: np.dtype
) -> np.ndarray:
    """Rows (B,) of :func:`row_type` from checksums (B,) and embeddings (B, D)."""
    rows = np.empty(len(pixels), dtype)
    rows['pixels'] = pixels
    if 'scale' in (dtype.names or ()):
        # A row of zeros has no scale of its own; any will do.
        largest = np.abs(embeddings).max(axis=1)
        rows['scale'] = np.where(largest > 0, largest, 1) / 127
        embeddings = np.rint(embeddings / rows['scale'][:, None])
    rows['embedding'] = embeddings
    return rows


def unpack_embeddings(rows: np.ndarray | np.void) -> np.ndarray:
    """Embeddings (B, D), or (D,) of one row, as stored: float32, not normalised."""
    embeddings = rows['embedding'].astype(np.float32)
    if 'scale' in (rows.dtype.names or ()):
        embeddings *= rows['scale'][..., None]
    return embeddings


def write_rows(store: str | Path, shard: Shard, rows: np.ndarray) -> None:
    """Write a shard of a view from rows (size,), whole or not at all."""
    records = (
        shard.seal(place, row.tobytes()) for place, row in enumerate(rows, shard.first)
    )
    write_atomically(shard.path(store), b''.join(records))


class ShardReader:
    """Reads a shard of a view, row by row.

    Rows are read, not mapped: pages of a map count as this process's memory, and a file
    that is cut off while it is mapped kills the process. Raises a DataError for a file
    that is missing or of another size.
    """

    def __init__(self, storage: LocalStorage, shard: Shard, dtype: np.dtype) -> None:
        self.storage, self.shard, self.dtype = storage, shard, dtype
        self._record = CRC_BYTES + dtype.itemsize
        (found,), wanted = storage.stat([shard.name()]), shard.size * self._record
        if found is None or found.size != wanted:
            state = (
                f'has {found.size} bytes instead of {wanted}' if found else 'is missing'
            )
            raise shard.fault(storage.root, state)

    def row(self, index: int) -> np.void:
        """One row of the dtype; DataError where the file no longer has it."""
        start = index * self._record
        place = Range(self.shard.name(), start, start + self._record)
        record, row = self.storage.read(place), self.shard.first + index
        content = self.shard.unseal(row, record, self.storage.root)
        return np.frombuffer(content, self.dtype)[0]

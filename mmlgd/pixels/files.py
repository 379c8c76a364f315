"""Encoded views in tar files, one beside each shard of embeddings.

A row of the shard has the place of its view in the tar file, so no index is needed.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mmlgd.datasets.shards.storage import Range
from mmlgd.datasets.shards.writing import write_tar
from mmlgd.errors import DataError

from .codec import PixelCodec
from .comparison import pixel_checksum

if TYPE_CHECKING:
    from mmlgd.stores.shards import Shard, ShardReader

#: Fields of a row: offset in the tar file and bytes of the encoded view.
PLACE = [('start', '<u8'), ('size', '<u4')]
_EXTENSION = 'tar'


def encode_view(
    codec: PixelCodec | None, inputs: torch.Tensor
) -> tuple[torch.Tensor, int, bytes]:
    """A view as the teacher shall see it, the checksum in its row, and what is stored.

    Without a codec, only the checksum of the view itself is stored.

    Args:
        codec: How the view is encoded.
        inputs: The view as drawn, (3, H, W) uint8.
    """
    if codec is None:
        return inputs, pixel_checksum(inputs), b''
    encoded, seen = codec.round_trip(inputs)
    return seen, zlib.crc32(encoded), encoded


def write_encoded(
    store: Path,
    shard: 'Shard',
    codec: PixelCodec,
    encoded: Sequence[bytes],
    rows: np.ndarray,
) -> None:
    """Write the encoded views (n,) of a shard, and their places into its rows (n,)."""
    names = [
        f'{shard.view:03}/{row:09}.{codec.extension}'
        for row in range(shard.first, shard.first + shard.size)
    ]
    rows['start'] = write_tar(store / shard.name(_EXTENSION), names, encoded)
    rows['size'] = [len(one) for one in encoded]


class PixelReader:
    """Reads the encoded views of a shard.

    Args:
        reader: Reads the rows of the shard.

    Raises:
        DataError: The tar file is missing.
    """

    def __init__(self, reader: 'ShardReader') -> None:
        self.rows, self._name = reader, reader.shard.name(_EXTENSION)
        (found,) = reader.storage.stat([self._name])
        if found is None:
            raise self.fault('is missing')
        self._bytes = found.size

    def encoded(self, row: np.void) -> bytes:
        """The encoded view of a row.

        Raises:
            DataError: The tar file is damaged, truncated, or that of another shard.
        """
        start, size = int(row['start']), int(row['size'])
        # Nothing is read beyond the file, whatever a row says.
        if start + size > self._bytes:
            raise self.fault(
                f'has {self._bytes} bytes, so a view at {start} is missing'
            )
        data = self.rows.storage.read(Range(self._name, start, start + size))
        if zlib.crc32(data) != row['pixels']:
            raise self.fault(
                f'has a wrong checksum at byte {start} (damaged or replaced)'
            )
        return data

    def fault(self, state: str) -> DataError:
        """An error about the tar file, with how to fix it."""
        return self.rows.shard.fault(self.rows.storage.root, state, _EXTENSION)


def read_all(reader: 'ShardReader', has_pixels: bool) -> None:
    """Read each row of a shard, and its view if it is stored; DataError for damage."""
    pixels = PixelReader(reader) if has_pixels else None
    for index in range(reader.shard.size):
        row = reader.row(index)
        if pixels is not None:
            pixels.encoded(row)

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


def read_encoded(reader: 'ShardReader', row: np.void) -> bytes:
    """The encoded view of a row.

    Raises:
        DataError: The tar file is missing or damaged, or that of another shard.
    """
    start, name = int(row['start']), reader.shard.name(_EXTENSION)
    data = reader.storage.read(Range(name, start, start + int(row['size'])))
    if zlib.crc32(data) != row['pixels']:
        state = f'has a wrong checksum at byte {start} (damaged, or of another place)'
        raise reader.shard.fault(reader.storage.root, state, _EXTENSION)
    return data

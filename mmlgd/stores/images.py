"""The image table of a store: by what its images are known, and if they have changed."""

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmlgd.datasets.image_list import HASH_BYTES, list_image, list_images_of, show_name
from mmlgd.errors import DataError
from mmlgd.utils.atomic import write_atomically

from .shards import Shard

#: Images of which the content is compared when a store is opened.
HASHED_SAMPLE = 64


@dataclass
class ImageTable:
    """What :class:`ListedImage` gives for each row's image.

    ``names`` are by what it is known; ``hashes``, (N, 16) uint8, are of its content.
    """

    names: list[bytes]
    hashes: np.ndarray

    def write(self, store: str | Path, shard: Shard) -> None:
        """Write the table as a shard, which has one record."""
        content = b''.join(name + b'\0' for name in self.names) + self.hashes.tobytes()
        write_atomically(shard.path(store), shard.seal(shard.first, content))

    @classmethod
    def read(cls, store: str | Path, shards: Sequence[Shard]) -> 'ImageTable':
        """Read the shards of a table; DataError if one is missing or damaged."""
        names: list[bytes] = []
        hashes = bytearray()
        for shard in shards:
            try:
                record = shard.path(store).read_bytes()
            except OSError as error:
                state = f'cannot be read ({error.strerror})'
                raise shard.fault(store, state) from error
            content = shard.unseal(shard.first, record, store)
            begin = max(0, len(content) - shard.size * HASH_BYTES)
            found = content[:begin].split(b'\0')
            if len(found) != shard.size + 1 or found[-1]:
                raise shard.fault(store, f'does not have {shard.size} names')
            names += found[:-1]
            hashes += content[begin:]
        return cls(names, np.frombuffer(hashes, np.uint8).reshape(-1, HASH_BYTES))

    def name(self, row: int) -> str:
        """Name of a row's image, for people."""
        return show_name(self.names[row])

    def match(self, dataset: Sized, store: Path) -> tuple[np.ndarray, np.ndarray]:
        """Rows of a dataset's N images, and the index of each row's image.

        Both int64, and -1 where the other side lacks the image. The content of a sample
        is compared (else a DataError); no other file is read.
        """
        wanted = [image.key() for image in list_images_of(dataset)]
        rows = _positions(wanted, self.names)
        found = np.flatnonzero(rows >= 0)
        for index in found[:: max(1, len(found) // HASHED_SAMPLE)].tolist():
            content = list_image(dataset, index).content_hash()
            self.check_hash(int(rows[index]), content, store)
        return rows, _positions(self.names, wanted)

    def check_hash(self, row: int, found: bytes, store: Path) -> None:
        """Refuse with a DataError an image whose content is not that of its row."""
        if found != self.hashes[row].tobytes():
            raise DataError(
                f'The image {self.name(row)} is not what the teacher of the store {store} '
                'saw: its content differs. Put the old file back, or build another store.'
            )


def _positions(wanted: list[bytes], known: list[bytes]) -> np.ndarray:
    """Place of each wanted key among the known ones: (N,) int64, -1 where missing."""
    # In the same order, equal images keep a place each; otherwise all have the first.
    if wanted == known:
        return np.arange(len(known), dtype=np.int64)
    first = {one: place for place, one in reversed([*enumerate(known)])}
    return np.array([first.get(one, -1) for one in wanted], np.int64)

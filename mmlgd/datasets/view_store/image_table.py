"""The images of a store, as arrays to be mapped: no list that each process holds."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmlgd.errors import DataError
from mmlgd.utils.atomic import replace_folder

from .image_keys import DIGEST_BYTES, image_key

#: Arrays of a table, a file each.
_COLUMNS = ('names', 'ends', 'keys', 'sizes', 'hashes')


class ImageTable:
    """Name, size and content hash of each row's image.

    Attributes:
        keys (np.ndarray): (N,) uint64 by which images are found: the first bytes of
            a file's hashed name, or of the pixels' hash of an image in memory.
        sizes (np.ndarray): (N,) int64, bytes of the file or of the pixels.
        hashes (np.ndarray): (N, 16) uint8, BLAKE2b of the file or of the pixels.
        names (np.ndarray): uint8, all names in UTF-8.
        ends (np.ndarray): (N,) int64, where each name ends.
    """

    def __init__(
        self,
        names: np.ndarray,
        ends: np.ndarray,
        keys: np.ndarray,
        sizes: np.ndarray,
        hashes: np.ndarray,
    ) -> None:
        self.names, self.ends, self.keys = names, ends, keys
        self.sizes, self.hashes = sizes, hashes

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def of(
        cls, names: Sequence[str], sizes: Sequence[int], hashes: Sequence[bytes]
    ) -> 'ImageTable':
        """A table of images.

        Args:
            names: As :class:`~mmlgd.datasets.image_list.ListedImage` has them.
            sizes: See above.
            hashes: From :func:`content_hash`.
        """
        encoded = [name.encode() for name in names]
        keys = [image_key(name, one) for name, one in zip(names, hashes)]
        return cls(
            np.frombuffer(b''.join(encoded), np.uint8),
            np.cumsum([len(name) for name in encoded], dtype=np.int64),
            np.array(keys, np.uint64),
            np.array(sizes, np.int64),
            np.frombuffer(b''.join(hashes), np.uint8).reshape(-1, DIGEST_BYTES),
        )

    def followed_by(self, other: 'ImageTable') -> 'ImageTable':
        """This table's rows and then another's."""
        ends = np.append(self.ends, other.ends + len(self.names))
        joined = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in _COLUMNS
        }
        return ImageTable(**{**joined, 'ends': ends})

    @classmethod
    def read(cls, store: Path, images: int) -> 'ImageTable':
        """Map the table of ``images`` rows.

        Raises:
            DataError: It is absent or broken.
        """
        folder = _folder(store, images)
        try:
            columns = {
                name: np.load(folder / f'{name}.npy', mmap_mode='r')
                for name in _COLUMNS
            }
        except (OSError, ValueError) as error:
            raise DataError(
                f'The image table {folder} of the store cannot be read ({error}); fetch it '
                'again from where the store was copied, or build the store anew.'
            ) from error
        table = cls(**columns)
        if {len(table.ends), len(table.sizes), len(table.hashes), len(table)} != {
            images
        }:
            raise DataError(
                f'The image table {folder} has not {images} rows in each of its files; '
                'fetch it again from where the store was copied, or build the store anew.'
            )
        return table

    def write(self, store: Path) -> None:
        """Write the table, whole or not at all."""
        with replace_folder(_folder(store, len(self))) as part:
            for name in _COLUMNS:
                np.save(part / f'{name}.npy', getattr(self, name))

    def name(self, row: int) -> str:
        """Name of a row's image, for people too."""
        start = int(self.ends[row - 1]) if row else 0
        return bytes(self.names[start : self.ends[row]]).decode() or f'image {row}'

    def digest(self) -> str:
        """SHA-256 of the table: 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for name in _COLUMNS:
            digest.update(np.ascontiguousarray(getattr(self, name)))
        return digest.hexdigest()


def newest_table(store: Path) -> int | None:
    """Rows of the largest table of a store, finished or not; None without any."""
    return max(_table_sizes(store), default=None)


def remove_smaller_tables(store: Path, images: int) -> None:
    """Remove the tables that the one of ``images`` rows begins with."""
    for size in _table_sizes(store):
        if size < images:
            shutil.rmtree(_folder(store, size))


def _table_sizes(store: Path) -> list[int]:
    return [int(path.name) for path in store.glob('images/[0-9]*')]


def _folder(store: Path, images: int) -> Path:
    return store / 'images' / f'{images:09}'

"""Reading a store of views within bounded memory."""

from collections.abc import Sized
from pathlib import Path

import numpy as np

from mmlgd.datasets.image_list import list_image
from mmlgd.errors import DataError

from .images import ImageTable
from .manifest import Manifest
from .rows import unpack_embeddings
from .shards import ShardReader


class ViewStore:
    """A finished store of views, for reading; a copy in another process costs nothing.

    Args:
        path: Folder that tools/build_stored_views.py wrote.

    Attributes:
        path (Path): That folder.
        manifest (Manifest): What the store is of.
        num_views (int): K.
        num_images (int): N.

    Raises:
        DataError: There is no store, it is of an unknown version, or not whole.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.manifest = Path(path), Manifest.read(path)
        self.num_views = self.manifest.num_views
        self.num_images = self.manifest.num_images
        if not self.num_views:
            raise DataError(
                f'The store {path} is not finished; run the tools/build_stored_views.py '
                'command that began it once more: it resumes where it was.'
            )
        shards, columns = self.manifest.view_shards(), self.manifest.columns
        self._runs = np.array([one.first for one in shards if one.view == 0])
        self._readers = [
            ShardReader(one.path(self.path), one.size, columns) for one in shards
        ]

    def table(self) -> ImageTable:
        """The images, read each time."""
        return ImageTable.read(self.path, self.manifest.image_shards())

    def read(self, view: int, row: int) -> tuple[int, np.ndarray]:
        """CRC-32 of a view's pixels, and its embedding (D,) float32, not normalised.

        Raises:
            IndexError: ``view`` is not in [0, K), or ``row`` not in [0, N).
            DataError: The shard has become shorter.
        """
        if not (0 <= view < self.num_views and 0 <= row < self.num_images):
            raise IndexError(
                f'view {view} of row {row} in a store of {self.num_views} views of '
                f'{self.num_images} images'
            )
        run = int(np.searchsorted(self._runs, row, side='right')) - 1
        reader = self._readers[view * len(self._runs) + run]
        stored = reader.row(row - int(self._runs[run]))
        return int(stored['pixels']), unpack_embeddings(stored)

    def match(self, dataset: Sized) -> np.ndarray | None:
        """Rows (N,) int64 of a dataset's images; None where they are 0, 1, 2, ...

        Raises:
            DataError: An image is unknown, missing, or (of a sample) has changed.
        """
        table = self.table()
        rows = table.find_rows(dataset, self.path)
        unknown = np.flatnonzero(rows < 0)
        if len(unknown):
            name = list_image(dataset, int(unknown[0])).name
            raise DataError(
                f'{len(unknown)} of the {len(rows)} images are not in the store '
                f'{self.path}, the first is {ascii(name) if name else unknown[0]}; add '
                'them: `python tools/build_stored_views.py CONFIG --views '
                f'{self.num_views} --out {self.path}`.{table.explain_unknown(name)}'
            )
        return None if np.array_equal(rows, np.arange(self.num_images)) else rows

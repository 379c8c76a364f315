"""Reading a store of views, mapped and within bounded memory."""

import bisect
import mmap
from collections import OrderedDict
from collections.abc import Sized
from operator import itemgetter
from pathlib import Path

import numpy as np

from mmlgd.errors import DataError

from .image_table import ImageTable
from .manifest import Manifest
from .matching import find_rows
from .rows import unpack_embeddings
from .shards import Shard, shard_starts

#: Maps that stay open; each keeps a file descriptor.
_OPEN_MAPS = 64
#: Reads after which the pages read so far are given back. A read brings in up to
#: 64 KiB of what is cached, so these bound what a process holds: 64 MiB.
_READS_BETWEEN_RELEASES = 1024


class ViewStore:
    """A finished store of views, for reading.

    Files are mapped when first read, so that building one costs a look at each
    shard's size, and a copy in another process (forked or spawned) costs nothing.

    Args:
        path: Folder that tools/build_stored_views.py wrote.

    Attributes:
        path (Path): That folder.
        manifest (Manifest): What the store is of.

    Raises:
        DataError: There is no store, it is of an unknown version, or not whole.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = Manifest.read(path)
        self._dtype = self.manifest.row_dtype
        self._starts = list(
            shard_starts(self.manifest.segments, self.manifest.shard_size)
        )
        self._forget_maps()
        self._check_shards()

    @property
    def num_views(self) -> int:
        """K."""
        return self.manifest.num_views

    @property
    def num_images(self) -> int:
        """N, rows of each view."""
        return self.manifest.num_images

    @property
    def embed_dims(self) -> int:
        """D."""
        return self.manifest.embed_dims

    @property
    def seed(self) -> int:
        """Seed of the views."""
        return self.manifest.seed

    @property
    def table(self) -> ImageTable:
        """The images, mapped."""
        return ImageTable.read(self.path, self.num_images)

    def read(self, view: int, row: int) -> tuple[int, np.ndarray]:
        """What is stored of one view.

        Args:
            view: In [0, K).
            row: Of the image, in [0, N).

        Returns:
            tuple[int, np.ndarray]: CRC-32 of the pixels, and the embedding (D,)
            float32, as stored: of unit length but for its rounding.

        Raises:
            IndexError: There is no such view or row.
        """
        if not (0 <= view < self.num_views and 0 <= row < self.num_images):
            raise IndexError(
                f'view {view} of row {row} in a store of {self.num_views} views of '
                f'{self.num_images} images'
            )
        place = bisect.bisect_right(self._starts, row, key=itemgetter(0)) - 1
        shard = Shard(view, *self._starts[place])
        offset = (row - shard.first) * self._dtype.itemsize
        stored = np.frombuffer(self._map(shard), self._dtype, 1, offset)[0]
        return int(stored['pixels']), unpack_embeddings(stored)

    def match(self, dataset: Sized) -> np.ndarray | None:
        """Rows of a data set's images, all of which the store must know unchanged.

        Args:
            dataset: With ``get_data_info``, as mmengine's have it.

        Returns:
            np.ndarray or None: (N,) int64; None where they are 0, 1, 2, ...

        Raises:
            DataError: An image is unknown, not there, or another than it was: by
                its size, or by its content among a sample of them.
        """
        table = self.table
        rows = find_rows(table, dataset, self.path)
        unknown = np.flatnonzero(rows < 0)
        if len(unknown):
            info = dataset.get_data_info(int(unknown[0]))
            raise DataError(
                f'{len(unknown)} of the {len(rows)} images are not in the store '
                f'{self.path}, the first is {info.get("img_path", f"number {unknown[0]}")}; '
                'add them: `python tools/build_stored_views.py CONFIG --views '
                f'{self.num_views} --out {self.path}`.'
            )
        return None if np.array_equal(rows, np.arange(self.num_images)) else rows

    def _check_shards(self) -> None:
        if not self.num_views:
            raise DataError(
                f'The store {self.path} is not finished; run the tools/build_stored_views.py '
                'command that began it once more: it goes on where it was.'
            )
        for shard in self.manifest.shards():
            path = shard.path(self.path)
            wanted = shard.size * self._dtype.itemsize
            found = path.stat().st_size if path.is_file() else None
            if found != wanted:
                state = 'is missing' if found is None else f'has {found} bytes'
                raise DataError(
                    f'The shard {path} {state}, and should have {wanted} bytes; copy it '
                    'again, or remove it and run tools/build_stored_views.py, which '
                    'computes it anew.'
                )

    def _map(self, shard: Shard) -> mmap.mmap:
        self._reads += 1
        if self._reads % _READS_BETWEEN_RELEASES == 0:
            for one in self._maps.values():
                one.madvise(mmap.MADV_DONTNEED)
        if shard not in self._maps:
            with open(shard.path(self.path), 'rb') as file:
                opened = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            # Images come in random order: to read ahead would read in vain.
            opened.madvise(mmap.MADV_RANDOM)
            self._maps[shard] = opened
            if len(self._maps) > _OPEN_MAPS:
                self._maps.popitem(last=False)
        self._maps.move_to_end(shard)
        return self._maps[shard]

    def _forget_maps(self) -> None:
        self._maps: OrderedDict[Shard, mmap.mmap] = OrderedDict()
        self._reads = 0

    def __getstate__(self) -> dict:
        """Without the maps, which another process opens for itself."""
        return {**vars(self), '_maps': None}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._forget_maps()

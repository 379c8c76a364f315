"""What of a store is there, and what is still to be written."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmlgd.errors import DataError

from .image_table import ImageTable, remove_smaller_tables
from .locks import one_process
from .manifest import Manifest
from .shards import Shard, list_shards


@dataclass
class StorePlan:
    """A store and what it shall become.

    Attributes:
        store (Path): Its folder.
        manifest (Manifest): As it is on disk.
        table (ImageTable): Of all images, those still to be stored included.
        indices (np.ndarray): (N,) int64, index in the data set of each row's image,
            -1 where the data set does not have it.
        num_views (int): K when finished.
    """

    store: Path
    manifest: Manifest
    table: ImageTable
    indices: np.ndarray
    num_views: int

    @property
    def segments(self) -> list[int]:
        """Numbers of images added together, those still to be stored included."""
        added = len(self.table) - self.manifest.num_images
        return self.manifest.segments + [added] * (added > 0)

    def shards(self) -> list[Shard]:
        """All shards of the finished store."""
        return list(
            list_shards(self.num_views, self.segments, self.manifest.shard_size)
        )

    def finished(self) -> list[Shard]:
        """Those that are there."""
        return [shard for shard in self.shards() if shard.path(self.store).is_file()]

    def share(self, worker: int, workers: int) -> list[Shard]:
        """Unfinished shards of one of several processes.

        Who writes which does not depend on what is there, so that two never write
        the same.

        Raises:
            DataError: The data set lacks an image of one of them.
        """
        mine = self.shards()[worker::workers]
        mine = [shard for shard in mine if not shard.path(self.store).is_file()]
        for shard in mine:
            rows = slice(shard.first, shard.first + shard.size)
            absent = np.flatnonzero(self.indices[rows] < 0)
            if len(absent):
                raise DataError(
                    f'The store {self.store} has the image '
                    f'{self.table.name(shard.first + int(absent[0]))}, and the data set has '
                    'not, so that it cannot get more views; give the images of the store.'
                )
        return mine

    def seal(self) -> bool:
        """Let readers see what was built, if all of it is there.

        Returns:
            bool: Whether it is.
        """
        with one_process(self.store):
            now = Manifest.read(self.store)
            # Another process may have extended the store meanwhile.
            whole = replace(
                self, manifest=now, num_views=max(self.num_views, now.num_views)
            )
            if len(whole.finished()) != len(whole.shards()):
                return False
            if len(self.table) > now.num_images:
                now.images = self.table.digest()
            now.num_views, now.segments = whole.num_views, whole.segments
            now.write(self.store)
            remove_smaller_tables(self.store, now.num_images)
        return True

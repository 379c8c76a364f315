"""What is to be written: a store begun, gone on with, or extended."""

import fcntl
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader, Dataset

from mmlgd.datasets.image_list import list_image
from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.atomic import remove_leftovers

from .image_table import (
    ImageTable,
    content_hash,
    find_keys,
    newest_table,
    remove_other_tables,
)
from .manifest import FILE_NAME, Manifest
from .matching import find_rows
from .pipeline import compare_pipelines
from .shards import Shard, list_shards

#: Fields of the manifest that a build must share with the store it goes on with.
_FIXED = (
    *('teacher', 'embed_dims', 'image_mean', 'image_std', 'image_size'),
    *('input_shape', 'seed', 'embedding_dtype', 'shard_size'),
)


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
        if len(self.finished()) != len(self.shards()):
            return False
        with _locked(self.store):
            manifest = Manifest.read(self.store)
            manifest.num_views = self.num_views
            manifest.segments = self.segments
            manifest.images = self.table.digest()
            manifest.write(self.store)
            remove_other_tables(self.store, len(self.table))
        return True


def open_store(
    store: Path, wanted: Manifest, dataset: Sized, num_views: int, num_workers: int = 0
) -> StorePlan:
    """Begin a store, or go on with one.

    Args:
        store: Its folder, made when absent.
        wanted: What the config gives.
        dataset: The images; those that the store does not know are added.
        num_views: K.
        num_workers: Processes that read the files of new images, for their hashes.

    Raises:
        ConfigError: The store is of another teacher, other transforms, another
            seed or layout.
        DataError: Images have changed, or an unfinished build is of others.
    """
    store.mkdir(parents=True, exist_ok=True)
    with _locked(store):
        remove_leftovers(store)
        if not (store / FILE_NAME).is_file():
            wanted.write(store)
        manifest = Manifest.read(store)
        _check_same(manifest, wanted, store)
        table, rows = _complete_table(store, manifest, dataset, num_workers)
    return StorePlan(
        store,
        manifest,
        table,
        _row_images(table, rows),
        max(num_views, manifest.num_views),
    )


def look_at_store(store: Path, wanted: Manifest, dataset: Sized) -> StorePlan:
    """What a store is, finished or not, without touching it.

    Args:
        store: Its folder.
        wanted: What the config gives.
        dataset: The images; those that the store does not know do not matter.

    Raises:
        ConfigError: As for :func:`open_store`.
        DataError: Images have changed, or there is no store.
    """
    manifest = Manifest.read(store)
    _check_same(manifest, wanted, store)
    table = ImageTable.read(store, newest_table(store) or 0)
    rows = find_rows(table, dataset, store)
    return StorePlan(
        store, manifest, table, _row_images(table, rows), manifest.num_views
    )


def _row_images(table: ImageTable, rows: np.ndarray) -> np.ndarray:
    """Index in the data set of each row's image, -1 without one."""
    known = np.flatnonzero(rows >= 0)
    indices = np.full(len(table), -1)
    indices[rows[known]] = known
    if (indices < 0).any():
        # Where an image is there twice, one index serves both rows.
        indices = indices[find_keys(table.keys, table.keys)]
    return indices


def _check_same(manifest: Manifest, wanted: Manifest, store: Path) -> None:
    pairs = [(name, getattr(manifest, name), getattr(wanted, name)) for name in _FIXED]
    pairs += [
        (one.option, one.stored, one.here)
        for one in compare_pipelines(manifest.pipeline, wanted.pipeline)
    ]
    for name, stored, here in pairs:
        if stored != here:
            raise ConfigError(
                f'The store {store} was begun with {name} = {stored!r}, but this call has '
                f'{here!r}; give the config and options it was begun with, or another '
                '--out.'
            )


def _complete_table(
    store: Path, manifest: Manifest, dataset: Sized, num_workers: int
) -> tuple[ImageTable, np.ndarray]:
    """The table with all images of a data set, and their rows."""
    known = newest_table(store) or 0
    table = ImageTable.read(store, known) if known else ImageTable.of([], [], [])
    rows = find_rows(table, dataset, store)
    unknown = np.flatnonzero(rows < 0)
    if not len(unknown):
        return table, rows
    if known != manifest.num_images:
        raise DataError(
            f'The store {store} is being built of {known} images, but '
            f'{len(unknown)} of the data set are not among them; finish it with the '
            'images it was begun with first, or remove it.'
        )
    added = DataLoader(
        _Contents(dataset, unknown), 256, num_workers=num_workers, collate_fn=list
    )
    new = ImageTable.of(*zip(*(image for batch in added for image in batch)))
    table = table.followed_by(new)
    table.write(store)
    rows[unknown] = known + np.arange(len(unknown))
    return table, rows


class _Contents(Dataset):
    """Name, size and hash of some images of a data set."""

    def __init__(self, dataset: Sized, indices: np.ndarray) -> None:
        self.dataset, self.indices = dataset, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> tuple[str, int, bytes]:
        name, source = list_image(self.dataset, int(self.indices[place]))
        return name, *content_hash(source)


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    """One process at a time, where the file system has locks."""
    with open(store / '.lock', 'w') as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError:
            pass
        yield

"""Beginning a store, or going on with one."""

from collections.abc import Sized
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader, Dataset

from mmlgd.datasets.image_list import list_image
from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.atomic import remove_leftovers

from .image_keys import content_hash, find_keys
from .image_table import ImageTable, newest_table
from .locks import one_process
from .manifest import FILE_NAME, Manifest
from .matching import find_rows
from .pipeline import compare_pipelines
from .plan import StorePlan

#: Fields of the manifest that a build must share with the store it goes on with.
_FIXED = (
    *('teacher', 'embed_dims', 'image_mean', 'image_std', 'image_size'),
    *('input_shape', 'seed', 'embedding_dtype', 'shard_size'),
)


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
    with one_process(store):
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
    differences = compare_pipelines(manifest.pipeline, wanted.pipeline)
    pairs = [(one.option, one.stored, one.here) for one in differences]
    pairs += [(name, getattr(manifest, name), getattr(wanted, name)) for name in _FIXED]
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

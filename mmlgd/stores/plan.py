"""Beginning, resuming, sharing out and extending a store."""

from collections.abc import Sized
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmlgd.datasets.image_list import list_image
from mmlgd.datasets.pipeline_description import compare_pipelines
from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.atomic import remove_leftovers
from mmlgd.utils.identity import same_identity

from .images import ImageTable, encode_name, identifier
from .manifest import FILE_NAME, Manifest
from .shards import Shard

#: Fields of the manifest that a build must share with the store that it adds to.
_FIXED = (
    *('embed_dims', 'image_mean', 'image_std', 'image_size', 'input_shape', 'seed'),
    *('embedding_dtype', 'shard_size'),
)
#: Age of a temporary file that no process can still be writing, since a shard is
#: written at once. No lock is needed, which not all network file systems have.
_STALE_SECONDS = 24 * 3600


@dataclass
class StorePlan:
    """A store and what it shall become.

    All of it follows from the finished store and the dataset, so that processes need
    not talk to each other.

    Attributes:
        store (Path): Its folder.
        manifest (Manifest): As it is on disk.
        dataset (Sized): The images.
        indices (np.ndarray): (N,) int64, index in the dataset of each row's image,
            those still to be stored included; -1 where the dataset does not have it.
        num_views (int): K when finished.
    """

    store: Path
    manifest: Manifest
    dataset: Sized
    indices: np.ndarray
    num_views: int

    def target(self, manifest: Manifest) -> Manifest:
        """What a manifest becomes, with all views of all images."""
        added = len(self.indices) - manifest.num_images
        return replace(
            manifest,
            num_views=max(self.num_views, manifest.num_views),
            segments=manifest.segments + [added] * (added > 0),
        )

    def shards(self) -> list[Shard]:
        """All shards of the finished store's views."""
        return self.target(self.manifest).view_shards()

    def share(self, worker: int, workers: int) -> list[Shard]:
        """Unfinished shards of one of several processes.

        Who writes which does not depend on what is there, so that no two write the same.

        Raises:
            DataError: The dataset lacks an image of one of them.
        """
        mine = self.shards()[worker::workers]
        mine = [shard for shard in mine if not shard.path(self.store).is_file()]
        for shard in mine:
            missing = np.flatnonzero(self._indices_of(shard) < 0)
            if missing.size:
                table = ImageTable.read(self.store, self.manifest.image_shards())
                raise DataError(
                    f'The store {self.store} has the image '
                    f'{table.name(shard.first + missing[0])}, and the dataset does not, so '
                    'that it cannot get more views; give the images of the store.'
                )
        return mine

    def check_images(self, shard: Shard, hashes: np.ndarray | None = None) -> None:
        """Compare the images of a shard with the table; put new ones into it.

        ``hashes`` (n, 16) are of the images as they were just read. Without them, only
        names are compared and nothing is written.

        Raises:
            DataError: An image has changed, or an unfinished build has other images.
        """
        part = shard._replace(view=None)
        path = part.path(self.store)
        indices = self._indices_of(shard).tolist()
        images = [list_image(self.dataset, index) for index in indices]
        if not path.is_file():
            if hashes is not None:
                names = [encode_name(image.name) for image in images]
                ImageTable(names, hashes).write(path)
            return
        try:
            table = ImageTable.read(self.store, [part])
            if table.identifiers() != [identifier(image) for image in images]:
                raise DataError('The names differ.')
        except DataError as error:
            raise DataError(
                f'The store {self.store} was being built of other images: '
                f'images/{path.name} does not have those of this dataset ({error}). Finish '
                f'it with the images it was begun with, or remove {path.name} and higher '
                'from images/ and views/*/.'
            ) from error
        for row, one in enumerate(hashes if hashes is not None else ()):
            table.check_hash(row, one.tobytes(), self.store)

    def seal(self) -> bool:
        """Let readers see what was built, if all of it is there; return whether it is."""
        # Another process may have extended the store meanwhile.
        whole = self.target(Manifest.read(self.store))
        shards = whole.view_shards() + whole.image_shards()
        is_whole = all(shard.path(self.store).is_file() for shard in shards)
        if is_whole:
            whole.write(self.store)
        return is_whole

    def _indices_of(self, shard: Shard) -> np.ndarray:
        return self.indices[shard.first : shard.first + shard.size]


def open_store(
    store: Path, wanted: Manifest, dataset: Sized, num_views: int
) -> StorePlan:
    """Begin a store, or resume or extend one to K views of a dataset's images.

    ``wanted`` is what the config gives. A store with more views or images keeps them.

    Raises:
        ConfigError: The store is of another teacher, other transforms, another
            seed or layout.
        DataError: Images have changed, or an unfinished build is of others.
    """
    for folder in (store, store / 'images', *store.glob('views/*')):
        remove_leftovers(folder, _STALE_SECONDS)
    if not (store / FILE_NAME).is_file():
        wanted.write(store)
    manifest = Manifest.read(store)
    check_same(manifest, wanted, store)
    table = ImageTable.read(store, manifest.image_shards())
    rows = table.find_rows(dataset, store)
    indices = np.append(table.indices(rows), np.flatnonzero(rows < 0))
    views = max(num_views, manifest.num_views)
    plan = StorePlan(store, manifest, dataset, indices, views)
    for shard in plan.target(manifest).image_shards():
        if shard.first >= manifest.num_images:
            plan.check_images(shard)
    return plan


def check_same(manifest: Manifest, wanted: Manifest, store: Path) -> None:
    """Refuse a store that is of anything else than a config gives.

    Raises:
        ConfigError: Names what differs.
    """
    differences = compare_pipelines(manifest.pipeline, wanted.pipeline)
    pairs = [(one.option, one.stored, one.here) for one in differences]
    pairs += [(name, getattr(manifest, name), getattr(wanted, name)) for name in _FIXED]
    if not same_identity(manifest.teacher, wanted.teacher):
        pairs.append(('teacher', manifest.teacher, wanted.teacher))
    for name, stored, here in pairs:
        if stored != here:
            raise ConfigError(
                f'The store {store} was begun with {name} = {stored!r}, but this call has '
                f'{here!r}; give the config and options it was begun with, or another '
                '--out.'
            )

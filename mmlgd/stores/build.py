"""Beginning, resuming, sharing out and extending a store."""

import time
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from mmlgd.datasets.image_list import list_image
from mmlgd.datasets.pipeline_description import compare_pipelines
from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.atomic import remove_leftovers
from mmlgd.utils.identity import same_identity

from .images import ImageTable, encode_name, identifier
from .manifest import FILE_NAME, Manifest
from .shards import Shard, cosine_loss, pack_rows, unpack_embeddings, write_shard
from .source import ViewSource

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
    """A store, its manifest on disk, and what it shall become: K views of a dataset.

    All of it follows from the finished store and the dataset, so that processes need
    not talk to each other. ``indices`` (N,) int64 has the index in the dataset of each
    row's image, those still to be stored included; -1 where the dataset lacks it.
    """

    store: Path
    manifest: Manifest
    dataset: Sized
    indices: np.ndarray
    num_views: int

    def target(self, manifest: Manifest) -> Manifest:
        """What a manifest becomes: all views of all images."""
        added = len(self.indices) - manifest.num_images
        segments = manifest.segments + [added] * (added > 0)
        views = max(self.num_views, manifest.num_views)
        return replace(manifest, num_views=views, segments=segments)

    def shards(self) -> list[Shard]:
        """All shards of the finished store's views."""
        return self.target(self.manifest).view_shards()

    def share(self, worker: int, workers: int) -> list[Shard]:
        """Unfinished shards of one of several processes; DataError without their images.

        Who writes which does not depend on what is there, so that no two write the same.
        """
        mine = self.shards()[worker::workers]
        mine = [shard for shard in mine if not shard.path(self.store).is_file()]
        for _, first, size in mine:
            if (missing := np.flatnonzero(self.indices[first : first + size] < 0)).size:
                table = ImageTable.read(self.store, self.manifest.image_shards())
                raise DataError(
                    f'The store {self.store} has the image {table.name(first + missing[0])},'
                    ' and the dataset does not, so that it cannot get more views; give the '
                    'images of the store.'
                )
        return mine

    def check_images(self, shard: Shard, hashes: Sequence | np.ndarray = ()) -> None:
        """Put the images of a shard into the table, or compare (else a DataError).

        Without ``hashes`` (n, 16) of their content, only names are compared.
        """
        part = shard._replace(view=None)
        path = part.path(self.store)
        indices = self.indices[shard.first : shard.first + shard.size]
        images = [list_image(self.dataset, index) for index in indices.tolist()]
        if not path.is_file():
            if len(hashes):
                names = [encode_name(image.name) for image in images]
                ImageTable(names, np.asarray(hashes)).write(path)
            return
        try:
            table = ImageTable.read(self.store, [part])
            if table.identifiers() != [identifier(image) for image in images]:
                raise DataError('The names differ.')
        except DataError as error:
            raise DataError(
                f'The store {self.store} was being built of other images: '
                f'images/{path.name} does not have those of this dataset ({error}). Use its '
                f'images, or remove {path.name} and higher from images/ and views/*/.'
            ) from error
        for row, one in enumerate(hashes):
            table.check_hash(row, one.tobytes(), self.store)

    def seal(self) -> bool:
        """Let readers see what was built, if all of it is there; return whether it is."""
        # Another process may have extended the store meanwhile.
        whole = self.target(Manifest.read(self.store))
        shards = whole.view_shards() + whole.image_shards()
        if is_whole := all(shard.path(self.store).is_file() for shard in shards):
            whole.write(self.store)
        return is_whole


def open_store(
    store: Path, wanted: Manifest, dataset: Sized, num_views: int
) -> StorePlan:
    """Begin, resume or extend a store to K views of a dataset's images.

    A store with more views or images keeps them. ``wanted`` is what the config gives.

    Raises:
        ConfigError: The store is not of ``wanted``; see :func:`check_same`.
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
    """Refuse with a ConfigError a store of other transforms, teacher, seed or layout."""
    differences = compare_pipelines(manifest.pipeline, wanted.pipeline)
    pairs = [(one.option, one.stored, one.here) for one in differences]
    pairs += [(name, getattr(manifest, name), getattr(wanted, name)) for name in _FIXED]
    if not same_identity(manifest.teacher, wanted.teacher):
        pairs.append(('teacher', manifest.teacher, wanted.teacher))
    for name, stored, here in pairs:
        if stored != here:
            raise ConfigError(
                f'The store {store} was begun with {name} = {stored!r}, but this call has '
                f'{here!r}; give what it was begun with, or another --out.'
            )


def write_shards(plan: StorePlan, shards: Sequence[Shard], source: ViewSource) -> int:
    """Compute and write shards of :meth:`StorePlan.share`; return the number of rows.

    A batch lies in one shard, so that two processes write the same bytes for it.
    """
    size = source.loader.get('batch_size', 1)
    stream = source.embed(plan.indices, _batches(shards, size))
    for number, shard in enumerate(shards, 1):
        start = time.perf_counter()
        parts = zip(*islice(stream, -(-shard.size // size)))
        pixels, embeddings, hashes = map(np.concatenate, parts)
        # The table first: a view is never there without its images.
        plan.check_images(shard, hashes)
        write_view(plan.manifest, shard, plan.store, pixels, embeddings)
        speed = shard.size / (time.perf_counter() - start)
        done = f'{number} of {len(shards)} shards, {speed:.0f} images/s'
        print_log(f'{shard.path(plan.store)}: {done}', logger='current')
    return sum(shard.size for shard in shards)


def _batches(shards: Sequence[Shard], size: int) -> Iterator[list[tuple]]:
    for view, first, rows in shards:
        for begin in range(first, first + rows, size):
            end = min(begin + size, first + rows)
            yield [(view, row) for row in range(begin, end)]


def write_view(
    manifest: Manifest, shard: Shard, store: Path, pixels: np.ndarray, rows: np.ndarray
) -> None:
    """Write a shard of a view: checksums (n,) and finite embeddings (n, D) float32."""
    if not np.isfinite(rows).all():
        raise DataError(
            f'The teacher gave NaN or infinity for view {shard.view} of a row from '
            f'{shard.first} to {shard.first + shard.size}; set its precision to "fp32".'
        )
    columns = pack_rows(pixels, rows, manifest.embedding_dtype)
    losses = cosine_loss(unpack_embeddings(columns), rows)
    facts = dict(mean_cosine_loss=losses.mean(), worst_cosine_loss=losses.max())
    write_shard(shard.path(store), columns, **facts)

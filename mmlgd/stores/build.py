"""Starting, resuming, distributing and extending a store."""

from collections.abc import Sequence, Sized
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from mmlgd.datasets.image_list import list_image
from mmlgd.datasets.pipeline_description import check_pipeline
from mmlgd.errors import ConfigError, DataError
from mmlgd.pixels.files import write_encoded
from mmlgd.utils.atomic import remove_leftovers
from mmlgd.utils.cosine import cosine_loss
from mmlgd.utils.identity import same_identity
from mmlgd.utils.progress import shows_progress, track

from .images import ImageTable
from .manifest import FILE_NAME, Manifest
from .shards import Shard, pack_rows, unpack_embeddings, write_rows
from .source import ViewSource

#: Fields of the manifest that a build must share with the store that it adds to.
_FIXED = (
    *('embed_dims', 'image_mean', 'image_std', 'image_size', 'input_shape', 'seed'),
    *('embedding_dtype', 'shard_size', 'pixels'),
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

    def share(self, worker: int, workers: int) -> list[Shard]:
        """Unfinished shards of one of several processes; DataError without their images."""
        # Who writes which does not depend on what is there: no two write the same.
        mine = self.target(self.manifest).view_shards()[worker::workers]
        mine = [shard for shard in mine if not shard.path(self.store).is_file()]
        for shard in mine:
            rows = slice(shard.first, shard.first + shard.size)
            if (missing := np.flatnonzero(self.indices[rows] < 0)).size:
                table = ImageTable.read(self.store, self.manifest.image_shards())
                raise DataError(
                    f'The store {self.store} has the image '
                    f'{table.name(shard.first + missing[0])}, and the dataset does not, so '
                    'that it cannot get more views; give the images of the store.'
                )
        return mine

    def check_images(self, shard: Shard, hashes: Sequence | np.ndarray = ()) -> None:
        """Put the images of a shard into the table, or compare (else a DataError).

        Without ``hashes`` (n, 16) of their content, only names are compared.
        """
        shard = shard._replace(view=None)
        indices = self.indices[shard.first : shard.first + shard.size]
        names = [list_image(self.dataset, index).key() for index in indices.tolist()]
        if not shard.path(self.store).is_file():
            if len(hashes):
                ImageTable(names, np.asarray(hashes)).write(self.store, shard)
            return
        try:
            table = ImageTable.read(self.store, [shard])
            if table.names != names:
                raise DataError('The names differ.')
        except DataError as error:
            name = shard.path(self.store).name
            raise DataError(
                f'The store {self.store} was being built of other images: images/{name} '
                f'does not have those of this dataset ({error}). Use its images, or remove '
                f'{name} and higher from images/ and views/*/.'
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
    """Start, resume or extend a store of ``wanted`` to K views of a dataset's images."""
    for folder in (store, store / 'images', *store.glob('views/*')):
        remove_leftovers(folder, _STALE_SECONDS)
    if not (store / FILE_NAME).is_file():
        wanted.write(store)
    manifest = Manifest.read(store)
    check_same(manifest, wanted, store)
    table = ImageTable.read(store, manifest.image_shards())
    rows, indices = table.match(dataset, store)
    indices = np.append(indices, np.flatnonzero(rows < 0))
    plan = StorePlan(store, manifest, dataset, indices, num_views)
    for shard in plan.target(manifest).image_shards():
        if shard.first >= manifest.num_images:
            plan.check_images(shard)
    return plan


def check_same(manifest: Manifest, wanted: Manifest, store: Path) -> None:
    """Refuse with a ConfigError a store of other transforms, teacher, seed or layout."""
    check_pipeline(f'The store {store}', manifest.pipeline, wanted.pipeline)
    differing = [one for one in _FIXED if vars(manifest)[one] != vars(wanted)[one]]
    if not same_identity(manifest.teacher, wanted.teacher):
        differing.append('teacher')
    for name in differing:
        raise ConfigError(
            f'The store {store} was begun with {name} = {getattr(manifest, name)!r}, but '
            f'this call has {getattr(wanted, name)!r}; give what it was begun with, or '
            'another --out.'
        )


def write_shards(
    plan: StorePlan, shards: Sequence[Shard], source: ViewSource
) -> np.ndarray:
    """Compute and write shards; returns 1 - cos of each row, see :func:`write_view`."""
    size, losses = source.batch_size, [np.empty(0)]
    # A batch lies in one shard, so that two processes write the same bytes for it.
    batches = (
        [(view, row) for row in range(start, min(start + size, first + rows))]
        for view, first, rows, _ in shards
        for start in range(first, first + rows, size)
    )
    lengths = [-(-shard.size // size) for shard in shards]
    embedded = source.embed(plan.indices, batches)
    with closing(track(embedded, 'Storing views', sum(lengths))) as stream:
        for number, shard in enumerate(shards, 1):
            *parts, encoded = zip(*islice(stream, lengths[number - 1]))
            pixels, embeddings, hashes = map(np.concatenate, parts)
            # The table first: a view is never there without its images.
            plan.check_images(shard, hashes)
            columns = pixels, embeddings, [*chain(*encoded)]
            losses.append(write_view(plan.manifest, shard, plan.store, *columns))
            if not shows_progress():
                done = f'{shard.path(plan.store)}: {number} of {len(shards)} shards'
                print_log(done, logger='current')
    return np.concatenate(losses)


def write_view(
    manifest: Manifest,
    shard: Shard,
    store: Path,
    pixels: np.ndarray,
    rows: np.ndarray,
    encoded: Sequence[bytes] = (),
) -> np.ndarray:
    """Write checksums (n,), embeddings (n, D), encoded views; returns the cosine loss."""
    if not np.isfinite(rows).all():
        raise DataError(
            f'The teacher gave NaN or infinity for view {shard.view} of a row from '
            f'{shard.first} to {shard.first + shard.size}; set its precision to "fp32".'
        )
    packed = pack_rows(pixels, rows, manifest.row_type)
    if manifest.codec is not None:
        # Before the rows: a row is never there without its pixels.
        write_encoded(store, shard, manifest.codec, encoded, packed)
    write_rows(store, shard, packed)
    return cosine_loss(unpack_embeddings(packed), rows)

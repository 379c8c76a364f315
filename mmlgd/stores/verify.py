"""Whether a store of views is still what it was, and what its config gives."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmlgd.datasets.shards.storage import LocalStorage
from mmlgd.errors import DataError, MMLGDError
from mmlgd.pixels.files import read_all
from mmlgd.utils.cosine import cosine_loss

from .build import StorePlan, check_same
from .dataset import ViewStore
from .images import ImageTable
from .manifest import Manifest
from .shards import ShardReader
from .source import ViewSource

#: Largest 1 - cos between a stored embedding and the teacher's, which may have worked
#: in float16 on a GPU. Rounding to int8 alone costs about D max|x|^2 / (24 * 127^2), at
#: the very most 2.6e-3 for D = 1,024.
_MAX_COSINE_LOSS = {'float16': 1e-3, 'int8': 5e-3}


def store_faults(store: Path, source: ViewSource, sample: int) -> list[str]:
    """A sentence for each fault of the files, or else of some views, computed again."""
    manifest, storage = Manifest.read(store), LocalStorage(str(store))
    faults = [] if manifest.num_views else [f'The store {store} is not finished.']
    for shard in manifest.image_shards() + manifest.view_shards():
        try:
            if shard.view is None:
                ImageTable.read(store, [shard])
            else:
                reader = ShardReader(storage, shard, manifest.row_type)
                read_all(reader, manifest.pixels is not None)
        except DataError as error:
            faults.append(str(error))
    if faults:
        return faults
    try:
        check_same(manifest, source.manifest, store)
        views = ViewStore(store)
        _, indices = views.table().match(source.dataset, store)
    except MMLGDError as error:
        return [str(error)]
    return list(_sample_faults(views, indices, source, sample))


def check_replay(plan: StorePlan, source: ViewSource) -> None:
    """Refuse with a DataError to add to a store if a sample of it differs when redrawn."""
    views = ViewStore(plan.store, whole=False) if plan.manifest.num_views else None
    for fault in _sample_faults(views, plan.indices, source, 16) if views else ():
        raise DataError(
            f'The store {plan.store} cannot be added to: {fault} Find out with --verify '
            'what has changed, or build another store elsewhere.'
        )


def _sample_faults(
    store: ViewStore, indices: np.ndarray, source: ViewSource, sample: int
) -> Iterator[str]:
    """Faults of some finished views of images at hand, drawn and embedded again."""
    total = store.num_views * store.num_images
    drawn = sorted(random.sample(range(total), min(sample, total)))
    places = [divmod(one, store.num_images) for one in drawn]
    places = [one for one in places if indices[one[1]] >= 0 and store.locate(*one)[0]]
    computed = source.embed(indices, [[place] for place in places])
    table, limit = store.table(), _MAX_COSINE_LOSS[store.manifest.embedding_dtype]
    for (view, row), (pixels, exact, *_) in zip(places, computed):
        checksum, embedding = store.read(view, row)
        what = f'View {view} of {table.name(row)} (row {row})'
        loss = float(cosine_loss(embedding, exact[0]))
        if checksum != pixels[0]:
            yield f'{what} has other pixels than are stored.'
        elif not loss <= limit:
            found = f'1 - cos is {loss:.2g}, above {limit:g}'
            yield f'{what} has another embedding than is stored: {found}.'

"""Whether a store of views is still what it was, and what its config gives."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmlgd.datasets.view_store.image_table import ImageTable
from mmlgd.datasets.view_store.manifest import Manifest
from mmlgd.datasets.view_store.matching import check_content
from mmlgd.datasets.view_store.opening import look_at_store
from mmlgd.datasets.view_store.plan import StorePlan
from mmlgd.datasets.view_store.rows import cosine_loss
from mmlgd.datasets.view_store.writer import file_sha256, read_facts
from mmlgd.errors import DataError, MMLGDError

from .build_views import embedded_views
from .plan_views import ViewSource

#: Largest 1 - cos between a stored embedding and the teacher's, which may have worked
#: in float16 on a GPU. Rounding to int8 alone costs about D max|x|^2 / (24 * 127^2), at
#: the very most 2.6e-3 for D = 1,024.
_MAX_COSINE_LOSS = {'float16': 1e-3, 'int8': 5e-3}
_REPLAYED_SAMPLE = 16


def store_faults(store: Path, source: ViewSource, sample: int) -> list[str]:
    """Everything found wrong with a store.

    Args:
        store: Its folder.
        source: What it should have been made of.
        sample: Views to compute anew, drawn at random each time.

    Returns:
        list[str]: A sentence each; empty where all is well.

    Raises:
        DataError: There is no store.
    """
    manifest = Manifest.read(store)
    faults = list(_file_faults(store, manifest))
    try:
        plan = look_at_store(store, source.manifest, source.dataset)
    except MMLGDError as error:
        return [*faults, str(error)]
    return faults + list(_sample_faults(plan, source, sample))


def check_replay(plan: StorePlan, source: ViewSource) -> None:
    """Refuse to add to a store whose views do not come out as they were.

    Raises:
        DataError: Pixels or embeddings of a sample differ.
    """
    faults = list(_sample_faults(plan, source, _REPLAYED_SAMPLE))
    if faults:
        raise DataError(
            f'The store {plan.store} cannot be added to: {faults[0]} Find out with '
            '--verify what has changed, or build a store anew elsewhere.'
        )


def _file_faults(store: Path, manifest: Manifest) -> Iterator[str]:
    """Faults that can be seen without images and teacher."""
    if not manifest.num_views:
        yield f'The store {store} is not finished.'
        return
    try:
        table = ImageTable.read(store, manifest.num_images)
        if table.digest() != manifest.images:
            yield f'The image table of {store} has not the checksum of the manifest.'
    except DataError as error:
        yield str(error)
    for shard in manifest.shards():
        path, facts = shard.path(store), shard.facts(store)
        if not path.is_file():
            yield f'The shard {path} is missing.'
        elif path.stat().st_size != shard.size * manifest.row_dtype.itemsize:
            yield f'The shard {path} has {path.stat().st_size} bytes: it is truncated.'
        elif file_sha256(path) != read_facts(facts).get('sha256'):
            yield f'The shard {path} has not the checksum of its {facts.name}.'


def _sample_faults(plan: StorePlan, source: ViewSource, sample: int) -> Iterator[str]:
    """Faults of some finished views, drawn and embedded anew."""
    rows = _sample_rows(plan, sample)
    images = len(plan.indices)
    order = [view * images + row for view, row in rows]
    computed = embedded_views(plan, order, source) if order else ()
    pairs = (pair for batch in computed for pair in zip(*batch))
    limit = _MAX_COSINE_LOSS[plan.manifest.embedding_dtype]
    for ((view, row), stored), (pixels, embedding) in zip(rows.items(), pairs):
        what = f'View {view} of {plan.table.name(row)} (row {row})'
        try:
            check_content(
                plan.table, source.dataset, plan.indices[row], row, plan.store
            )
        except DataError as error:
            yield str(error)
        if stored['pixels'][0] != pixels:
            yield f'{what} has other pixels than are stored.'
        elif (loss := cosine_loss(stored, embedding[None])[0]) > limit:
            yield (
                f'{what} has another embedding than is stored: 1 - cos is {loss:.2g}, '
                f'above {limit:g}.'
            )


def _sample_rows(plan: StorePlan, sample: int) -> dict[tuple[int, int], np.ndarray]:
    """Stored rows (1,) at random, by view and row, of images that are at hand."""
    shards = plan.finished()
    ends = np.cumsum([shard.size for shard in shards], dtype=np.int64)
    total = int(ends[-1]) if shards else 0
    found = {}
    for place in sorted(random.sample(range(total), min(sample, total))):
        number = int(np.searchsorted(ends, place, side='right'))
        shard = shards[number]
        offset = place - int(ends[number]) + shard.size
        row = shard.first + offset
        stored = np.fromfile(
            shard.path(plan.store),
            plan.manifest.row_dtype,
            count=1,
            offset=offset * plan.manifest.row_dtype.itemsize,
        )
        # A truncated shard has been reported.
        if plan.indices[row] >= 0 and len(stored):
            found[shard.view, row] = stored
    return found

"""Writing the shards of a store."""

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from mmlgd.datasets.imagenet_subsets import NUM_TRAIN
from mmlgd.errors import DataError

from .manifest import Manifest
from .plan import StorePlan
from .rows import cosine_loss, pack_rows, unpack_embeddings
from .shards import Shard, ShardReader, write_shard
from .source import ViewSource


def write_shards(plan: StorePlan, shards: Sequence[Shard], source: ViewSource) -> int:
    """Compute and write shards, each as a whole; return the number of rows.

    ``shards`` are from :meth:`StorePlan.share`. A batch lies in one shard, so that two
    processes that compute the same shard write the same bytes.

    Raises:
        DataError: The teacher gives NaN, or an image has changed.
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
        print_log(
            f'View {shard.view}, rows {shard.first} to {shard.first + shard.size}: '
            f'{speed:.0f} images/s; {number} of {len(shards)} shards',
            logger='current',
        )
    return sum(shard.size for shard in shards)


def _batches(shards: Sequence[Shard], size: int) -> Iterator[list[tuple]]:
    for view, first, rows in shards:
        for begin in range(first, first + rows, size):
            end = min(begin + size, first + rows)
            yield [(view, row) for row in range(begin, end)]


def write_view(
    manifest: Manifest, shard: Shard, store: Path, pixels: np.ndarray, rows: np.ndarray
) -> None:
    """Write a shard of a view: checksums (n,) and embeddings (n, D) float32.

    Raises:
        DataError: An embedding is not finite.
    """
    if not np.isfinite(rows).all():
        raise DataError(
            f'The teacher gave NaN or infinity for view {shard.view} of a row from '
            f'{shard.first} to {shard.first + shard.size}; set its precision to "fp32".'
        )
    columns = pack_rows(pixels, rows, manifest.embedding_dtype)
    losses = cosine_loss(unpack_embeddings(columns), rows)
    mean, worst = float(losses.mean()), float(losses.max())
    path = shard.path(store)
    write_shard(path, columns, mean_cosine_loss=mean, worst_cosine_loss=worst)


def summarize_store(store: Path) -> dict:
    """What a store has, takes on disk (all files) and costs in cosine, as JSON.

    ``imagenet_{K}_views_gb`` is what ImageNet-1k would take, in 1e9 bytes.

    Raises:
        DataError: There is no store, or a shard is malformed.
    """
    manifest = Manifest.read(store)
    summary: dict = dict(
        views=manifest.num_views,
        images=manifest.num_images,
        embed_dims=manifest.embed_dims,
        dtype=manifest.embedding_dtype,
        teacher=manifest.teacher,
        seed=manifest.seed,
        row_bytes=manifest.row_bytes,
    )
    for views in (10, 30):
        size = manifest.row_bytes * NUM_TRAIN * views
        summary[f'imagenet_{views}_views_gb'] = round(size / 1e9, 1)
    if shards := manifest.view_shards():
        size = sum(path.stat().st_size for path in store.rglob('*') if path.is_file())
        sizes = [shard.size for shard in shards]
        readers = [ShardReader(one.path(store), one.size, {}) for one in shards]
        means = [one.number('mean_cosine_loss') for one in readers]
        summary.update(
            bytes_a_view=round(size / sum(sizes), 1),
            mean_cosine_loss=float(np.average(means, weights=sizes)),
            worst_cosine_loss=max(one.number('worst_cosine_loss') for one in readers),
        )
    return summary

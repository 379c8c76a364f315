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
    stream = source.embed(plan.indices, _Batches(shards, size))
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


class _Batches:
    def __init__(self, shards: Sequence[Shard], batch_size: int) -> None:
        self.shards, self.batch_size = shards, batch_size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for view, first, size in self.shards:
            for begin in range(first, first + size, self.batch_size):
                end = min(begin + self.batch_size, first + size)
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
    """
    manifest = Manifest.read(store)
    summary = dict(
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
        losses = [_losses(ShardReader(one.path(store), one.size, {})) for one in shards]
        means = [one.size * mean for one, (mean, _) in zip(shards, losses)]
        rows = manifest.num_views * manifest.num_images
        summary.update(
            bytes_a_view=round(size / rows, 1),
            mean_cosine_loss=sum(means) / rows,
            worst_cosine_loss=max(worst for _, worst in losses),
        )
    return summary


def _losses(reader: ShardReader) -> tuple[float, float]:
    """The mean and the worst 1 - cos of a shard."""
    names = ('mean_cosine_loss', 'worst_cosine_loss')
    losses = tuple(reader.facts.get(name) for name in names)
    if {float} != set(map(type, losses)):
        raise reader.fault(f'has no {" and ".join(names)}')
    return losses

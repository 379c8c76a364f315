"""What a store of views holds and takes, in numbers."""

from pathlib import Path

from mmlgd.datasets.imagenet_subsets import NUM_TRAIN

from .manifest import Manifest
from .writer import read_facts


def summarize_store(store: Path) -> dict:
    """Numbers of a finished store, as JSON.

    Returns:
        dict: ``views``, ``images``, ``embed_dims``, ``dtype``, ``teacher``; the mean
        and the worst 1 - cos that storing cost; ``bytes_a_view`` measured on disk,
        table and checksums included; GB (1e9 bytes) that ImageNet-1k would take.
    """
    manifest = Manifest.read(store)
    facts = [read_facts(shard.facts(store)) for shard in manifest.shards()]
    facts = [one for one in facts if one]
    rows = manifest.num_views * manifest.num_images
    summary = dict(
        views=manifest.num_views,
        images=manifest.num_images,
        embed_dims=manifest.embed_dims,
        dtype=manifest.embedding_dtype,
        teacher=manifest.teacher,
        seed=manifest.seed,
        row_bytes=manifest.row_dtype.itemsize,
    )
    if rows:
        summary['bytes_a_view'] = round(_bytes_below(store) / rows, 1)
    if facts:
        summary['mean_cosine_loss'] = _mean_loss(facts)
        summary['worst_cosine_loss'] = max(one['worst_cosine_loss'] for one in facts)
    for views in (10, 30):
        size = manifest.row_dtype.itemsize * NUM_TRAIN * views
        summary[f'imagenet_{views}_views_gb'] = round(size / 1e9, 1)
    return summary


def _mean_loss(facts: list[dict]) -> float:
    rows = sum(one['measured_rows'] for one in facts)
    return sum(one['measured_rows'] * one['mean_cosine_loss'] for one in facts) / rows


def _bytes_below(store: Path) -> int:
    return sum(path.stat().st_size for path in store.rglob('*') if path.is_file())

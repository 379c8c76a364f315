"""Stores of views written by hand: no images, no teacher."""

from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset

from mmlgd.stores.build import write_view
from mmlgd.stores.images import ImageTable
from mmlgd.stores.manifest import Manifest


class InMemory(BaseDataset):
    """Images of one gray level each, without a path."""

    def load_data_list(self):
        return [dict(img=np.full((2, 2), one)) for one in self.metainfo['values']]


def in_memory(*values: int) -> InMemory:
    """An image of each gray level."""
    return InMemory(metainfo=dict(values=values))


def toy_manifest(**changes) -> Manifest:
    """Manifest of an empty store: D = 3, shards of 4 rows."""
    fields = dict(
        teacher='net#1234abcd',
        text_encoder='net/text#5678abcd',
        teacher_config=dict(type='Net'),
        embed_dims=3,
        image_mean=[1.0, 2.0, 3.0],
        image_std=[4.0, 5.0, 6.0],
        image_size=8,
        input_shape=[3, 8, 8],
        pipeline=None,
        seed=0,
        embedding_dtype='float16',
        shard_size=4,
    )
    return Manifest(**{**fields, **changes})


def toy_table(first: int, size: int) -> ImageTable:
    """Image list of files a0, a1, ..., which do not exist."""
    names = [f'a{number}'.encode() for number in range(first, first + size)]
    hashes = [np.frombuffer(name.zfill(16), np.uint8) for name in names]
    return ImageTable(names, np.array(hashes))


def write_toy_store(store: Path, views: int, segments: list, **changes) -> tuple:
    """A finished store of random rows.

    Returns:
        tuple: Checksums (K, N) and embeddings (K, N, D) that were written.
    """
    manifest = toy_manifest(num_views=views, segments=list(segments), **changes)
    rng = np.random.default_rng(0)
    size = views, manifest.num_images
    pixels = rng.integers(0, 2**32, size, dtype=np.uint32)
    embeddings = rng.normal(size=(*size, manifest.embed_dims)).astype(np.float32)
    for shard in manifest.view_shards():
        rows = slice(shard.first, shard.first + shard.size)
        columns = pixels[shard.view, rows], embeddings[shard.view, rows]
        write_view(manifest, shard, store, *columns)
    for shard in manifest.image_shards():
        toy_table(shard.first, shard.size).write(store, shard)
    manifest.write(store)
    return pixels, embeddings

"""Measures a store of views: bytes and cosine loss of a row, and reading time.

Embeddings are random unit rows. The size includes all files of a store for images that
do not exist. The time is that of an item of ImageNet's pipeline on photographs, with
and without a store.
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope

from benchmarks.speed.pictures import photographs, write_jpegs
from benchmarks.speed.timing import alternate, machine, ratio, spread, write_result
from benchmarks.speed.view_pipelines import CONFIG
from mmlgd.cli.build_stored_views import summarize_store
from mmlgd.datasets import SeededViews, UnlabeledImages
from mmlgd.datasets.pipeline_description import describe_pipeline
from mmlgd.stores import Manifest, StoredViews
from mmlgd.stores.build import open_store, write_shards, write_view
from mmlgd.stores.images import ImageTable
from mmlgd.stores.shards import EMBEDDING_DTYPES
from mmlgd.stores.source import ViewSource
from mmlgd.utils.tool import run_tool

_SHARD_SIZE = 8192
_STORED_VIEWS = 4
_TITLES = dict(
    seeded='SeededViews, no store',
    stored='StoredViews',
    unchecked='StoredViews, pixels not compared',
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--images', type=int, default=20000, help='default: 20000')
    parser.add_argument('--views', type=int, default=10, help='default: 10')
    parser.add_argument('--embed-dims', type=int, default=1024, help='default: 1024')
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--warm-up', type=int, default=2)
    parser.add_argument('--out', help='JSON file for the results')
    return parser.parse_args(argv)


def make_rows(embed_dims: int) -> Callable[[int], torch.Tensor]:
    """A source of random unit rows; each call returns (N, D) new ones."""
    generator = torch.Generator().manual_seed(0)
    return lambda number: F.normalize(
        torch.randn(number, embed_dims, generator=generator), dim=1
    )


def new_manifest(embedding_dtype: str, embed_dims: int, **fields) -> Manifest:
    """Manifest of a store of random rows."""
    told = dict(
        teacher='random rows',
        text_encoder='',
        teacher_config={},
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
        image_size=224,
        input_shape=[3, 224, 224],
        pipeline=None,
        seed=0,
        shard_size=_SHARD_SIZE,
    )
    return Manifest(
        embed_dims=embed_dims, embedding_dtype=embedding_dtype, **{**told, **fields}
    )


def measure_size(store: Path, dtype: str, args: argparse.Namespace) -> dict:
    """:func:`summarize_store` for a store with the requested size, and its losses."""
    manifest = new_manifest(
        dtype,
        args.embed_dims,
        num_views=args.views,
        segments=[args.images],
    )
    rows = make_rows(args.embed_dims)
    for shard in manifest.image_shards():
        images = range(shard.first, shard.first + shard.size)
        names = [f'n{i % 1000:08}/n{i % 1000:08}_{i}.JPEG'.encode() for i in images]
        hashes = np.zeros((shard.size, 16), np.uint8)
        ImageTable(names, hashes).write(store, shard)
    losses = []
    for shard in manifest.view_shards():
        embeddings = rows(shard.size).numpy()
        pixels = np.arange(shard.size)
        losses.append(write_view(manifest, shard, store, pixels, embeddings))
    manifest.write(store)
    loss = np.concatenate(losses)
    return dict(
        summarize_store(store),
        mean_cosine_loss=loss.mean(),
        worst_cosine_loss=loss.max(),
    )


def measure_reading(folder: Path, args: argparse.Namespace) -> dict:
    """CPU time per item in milliseconds, with and without a store."""
    pictures, origin = photographs()
    write_jpegs(folder / 'images', pictures, (500, 375), quality=95)
    cfg = Config.fromfile(CONFIG)
    init_default_scope('mmlgd')
    images = UnlabeledImages(str(folder / 'images'), pipeline=cfg.train_pipeline)
    rows = make_rows(args.embed_dims)
    source = ViewSource(
        images,
        lambda batch: rows(len(batch['inputs'])),
        new_manifest('float16', args.embed_dims, pipeline=describe_pipeline(images)),
        batch_size=len(images),
    )
    plan = open_store(folder / 'store', source.manifest, images, _STORED_VIEWS)
    write_shards(plan, plan.share(0, 1), source)
    plan.seal()
    sides = dict(
        seeded=SeededViews(images, seed=0),
        stored=StoredViews(images, plan.store),
        unchecked=StoredViews(images, plan.store, check_pixels=False),
    )
    count = _STORED_VIEWS * len(images)
    calls = {name: partial(read_all, views, count) for name, views in sides.items()}
    times = alternate(calls, args.rounds, args.warm_up)
    return dict(
        images=f'{origin}, as JPEG of 500 x 375',
        ms_an_item={
            name: spread([1000 * seconds / count for seconds in values])
            for name, values in times['cpu'].items()
        },
        over_seeded={name: ratio(times['cpu'], name, 'seeded') for name in sides},
        times=times,
    )


def read_all(dataset: SeededViews, count: int) -> None:
    """Create a number of items."""
    for index in range(count):
        dataset[index]


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        sizes = [
            measure_size(Path(folder) / dtype, dtype, args)
            for dtype in EMBEDDING_DTYPES
        ]
        reading = measure_reading(Path(folder), args)
    for size in sizes:
        print(
            f'{size["dtype"]}: {size["row_bytes"]} bytes per row calculated, '
            f'{size["bytes_a_view"]} measured; ImageNet-1k: '
            f'{size["imagenet_10_views_gb"]} GB for 10 views, '
            f'{size["imagenet_30_views_gb"]} for 30; 1 - cos: '
            f'{size["mean_cosine_loss"]:.1e} on average, '
            f'{size["worst_cosine_loss"]:.1e} at most'
        )
    for name, title in _TITLES.items():
        spent, over = reading['ms_an_item'][name], reading['over_seeded'][name]
        print(
            f'{title}: {spent["median"]:.2f} ms per item, {over["median"]:.3f} times '
            f'({over["low"]:.3f} to {over["high"]:.3f})'
        )
    result = dict(machine('cpu', 1), rows=sizes, reading=reading)
    write_result(args.out, result)


if __name__ == '__main__':
    run_tool(main)

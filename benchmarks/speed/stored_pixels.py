"""Compares stored pixels with views that are drawn again from the images.

Both sides give training items of ImageNet's pipeline from stores of the same views of
photographs of 500 x 375, in one process: `StoredViews` reads and crops the image, and
`StoredPixels` decodes the view. Embeddings are random unit rows. Views a second are for
one core; the bytes of a view are those of its file, without the tar header.
"""

import argparse
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from benchmarks.speed.pictures import photographs, write_jpegs
from benchmarks.speed.timing import alternate, machine, ratio, spread, write_result
from benchmarks.speed.view_pipelines import CONFIG
from benchmarks.speed.view_store import make_rows, new_manifest, read_all
from mmlgd.datasets import UnlabeledImages
from mmlgd.datasets.pipeline_description import describe_pipeline
from mmlgd.pixels.codec import CODECS, PixelCodec
from mmlgd.pixels.dataset import StoredPixels
from mmlgd.stores import StoredViews
from mmlgd.stores.build import open_store, write_shards
from mmlgd.stores.source import ViewSource
from mmlgd.utils.tool import run_tool

_SIZE = 224
_VIEWS = 8
_DIMS = 1024


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--qualities', nargs='+', type=int, default=[75, 85, 90, 95], metavar='Q'
    )
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--warm-up', type=int, default=2)
    parser.add_argument('--out', help='JSON file for the results')
    return parser.parse_args(argv)


def build_store(store: Path, images: UnlabeledImages, codec: PixelCodec | None) -> Path:
    """Store views of all images."""
    rows = make_rows(_DIMS)
    pixels = None if codec is None else asdict(codec)
    source = ViewSource(
        images,
        lambda batch: rows(len(batch['inputs'])),
        new_manifest(
            'float16', _DIMS, pipeline=describe_pipeline(images), pixels=pixels
        ),
        batch_size=len(images),
    )
    plan = open_store(store, source.manifest, images, _VIEWS)
    write_shards(plan, plan.share(0, 1), source)
    plan.seal()
    return store


def bytes_of(store: Path) -> float:
    """Mean bytes of an encoded view."""
    readers = StoredPixels(store).store.readers
    sizes = [
        reader.row(index)['size']
        for reader in readers
        for index in range(reader.shard.size)
    ]
    return float(np.mean(sizes))


def measure(folder: Path, args: argparse.Namespace) -> dict:
    """Time of an item for each codec and quality, and for views that are drawn."""
    pictures, origin = photographs()
    write_jpegs(folder / 'images', pictures, (500, 375), quality=95)
    init_default_scope('mmlgd')
    pipeline = Config.fromfile(CONFIG).train_pipeline
    images = UnlabeledImages(str(folder / 'images'), pipeline=pipeline)
    count = _VIEWS * len(images)
    sides = dict(drawn=StoredViews(images, build_store(folder / 'drawn', images, None)))
    sizes = {}
    for codec in CODECS:
        for quality in args.qualities:
            name = f'{codec} {quality}'
            store = build_store(
                folder / name, images, PixelCodec(codec, quality, _SIZE, _SIZE)
            )
            sides[name], sizes[name] = StoredPixels(store), bytes_of(store)
    calls = {name: partial(read_all, views, count) for name, views in sides.items()}
    times = alternate(calls, args.rounds, args.warm_up)
    return dict(
        images=f'{origin}, as JPEG of 500 x 375, quality 95',
        views_a_second={
            name: spread([count / seconds for seconds in values])
            for name, values in times['cpu'].items()
        },
        drawn_over={name: ratio(times['cpu'], 'drawn', name) for name in sides},
        bytes_a_view=sizes,
        times=times,
    )


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), args)
    for name, speed in result['views_a_second'].items():
        over = result['drawn_over'][name]
        size = result['bytes_a_view'].get(name)
        stored = 'drawn from the images' if size is None else f'{size:.0f} bytes a view'
        print(
            f'{name}: {speed["median"]:.0f} views/s, {over["median"]:.2f} times as many '
            f'as drawn ones ({over["low"]:.2f} to {over["high"]:.2f}); {stored}'
        )
    write_result(args.out, dict(machine('cpu', 1), **result))


if __name__ == '__main__':
    run_tool(main)

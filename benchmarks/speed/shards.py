"""Compares tar shards with a folder, and opens an index of many images.

Both sides read the same JPEGs of 500 x 375 in the same random order, in one process: their
bytes only, and as items of ImageNet's pipeline. Files are in the page cache.

The large index is of sparse files, so it needs little disk space: shards of 10,000 images,
in which only the headers that are read exist. Memory is that of the process beyond what it
had before, in MiB, of anonymous and shared pages and of mapped files.
"""

import argparse
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from benchmarks.speed.pictures import photographs, write_jpegs
from benchmarks.speed.timing import alternate, machine, ratio, spread, write_result
from benchmarks.speed.view_pipelines import CONFIG
from mmlgd.datasets import SeededViews, UnlabeledImages, UnlabeledShards, ViewSampler
from mmlgd.datasets.shards.index import ENTRY
from mmlgd.datasets.transforms.decoding import read_file
from mmlgd.utils.tool import run_tool

_SHARD = 10_000
_READ = 10_000
#: Bytes of a member of a synthetic shard, header included.
_STEP = 1024


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--images', type=int, default=3000, help='default: 3000')
    parser.add_argument(
        '--entries', type=int, default=1_000_000, help='default: 1000000'
    )
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--warm-up', type=int, default=1)
    parser.add_argument('--out', help='JSON file for the results')
    return parser.parse_args(argv)


def write_both(folder: Path, count: int) -> str:
    """Write the same JPEGs as files and as ten shards; returns their origin."""
    pictures, origin = photographs()
    sources = write_jpegs(folder / 'sources', pictures, (500, 375), quality=95)
    contents = [Path(source).read_bytes() for source in sources]
    for number in range(10):
        target = folder / f'images/{number}'
        target.mkdir(parents=True)
        for index in range(number, count, 10):
            (target / f'{index:07}.jpg').write_bytes(contents[index % len(contents)])
        (folder / 'shards').mkdir(exist_ok=True)
        with tarfile.open(folder / f'shards/{number}.tar', 'w') as tar:
            for path in sorted(target.iterdir()):
                tar.add(path, path.name)
    return origin


def compare(folder: Path, args: argparse.Namespace) -> dict:
    """CPU and wall time of reading and of items, for both sides."""
    origin = write_both(folder, args.images)
    pipeline = Config.fromfile(CONFIG).train_pipeline
    init_default_scope('mmlgd')
    images = UnlabeledImages(str(folder / 'images'), pipeline=pipeline)
    shards = UnlabeledShards(str(folder / 'shards'), pipeline=pipeline)
    order = np.random.default_rng(0).permutation(args.images).tolist()

    def read_files() -> None:
        for index in order:
            read_file(images.get_data_info(index)['img_path'])

    def read_members() -> None:
        for index in order:
            shards.read_image(index)

    few = order[: max(1, args.images // 15)]

    def make_items(views: SeededViews) -> None:
        for index in few:
            views[index]

    results = dict(images=f'{origin}, as JPEG of 500 x 375, quality 95')
    items = [partial(make_items, SeededViews(one)) for one in (images, shards)]
    for name, calls, count in (
        ('read', (read_files, read_members), len(order)),
        ('item', items, len(few)),
    ):
        results[name] = _times(dict(zip(('folder', 'shards'), calls)), count, args)
    return results


def _times(calls: dict[str, Callable], count: int, args: argparse.Namespace) -> dict:
    times = alternate(calls, args.rounds, args.warm_up)
    return dict(
        images_a_second={
            side: spread([count / seconds for seconds in times['cpu'][side]])
            for side in calls
        },
        folder_over_shards={
            clock: ratio(times[clock], 'folder', 'shards') for clock in times
        },
    )


def write_large(folder: Path, count: int) -> None:
    """Write sparse shards and their index."""
    header = tarfile.TarInfo('0.jpg')
    header.size = 512
    shards = []
    for number in range(-(-count // _SHARD)):
        images = min(_SHARD, count - number * _SHARD)
        path = folder / f'{number:06}.tar'
        with open(path, 'wb') as file:
            file.seek((images - 1) * _STEP)
            file.write(header.tobuf())
            file.truncate(images * _STEP + 1024)
        stat = path.stat()
        shards.append((path.name, stat.st_size, str(stat.st_mtime_ns), images))
    index = folder / 'mmlgd_index'
    index.mkdir()
    content = dict(
        format='mmlgd shard index',
        version=1,
        extensions=['.jpg'],
        name_bytes=count,
        shards=shards,
    )
    (index / 'index.json').write_text(json.dumps(content))
    lasts = np.cumsum([shard[-1] for shard in shards]) - 1
    _write_entries(index, lasts)
    os.truncate(index / 'entries.bin', count * ENTRY.itemsize)
    with open(index / 'names.bin', 'wb') as file:
        file.truncate(count)


def _write_entries(index: Path, images: np.ndarray) -> None:
    """Fill in the entries of some images, and of those before them."""
    path = index / 'entries.bin'
    path.touch()
    with open(path, 'r+b') as file:
        for image in {*images.tolist(), *np.maximum(images - 1, 0).tolist()}:
            row = (image % _SHARD * _STEP + 512, 512, image + 1)
            file.seek(image * ENTRY.itemsize)
            file.write(np.array(row, ENTRY).tobytes())


def resident() -> dict[str, float]:
    """MiB of this process: of its own and shared pages, and of mapped files."""
    found = {}
    for line in Path('/proc/self/status').read_text().splitlines():
        key, _, value = line.partition(':')
        if key in ('RssAnon', 'RssFile', 'RssShmem'):
            found[key] = int(value.split()[0]) / 1024
    return dict(
        own=found['RssAnon'] + found['RssShmem'],
        mapped=found['RssFile'],
        total=sum(found.values()),
    )


def open_large(folder: Path, count: int) -> dict:
    """Time and memory of opening the index, of a sampler, and of reading entries."""
    init_default_scope('mmlgd')
    before, begin = resident(), time.perf_counter()
    dataset = UnlabeledShards(str(folder), extensions=['.jpg'])
    result = dict(open_seconds=time.perf_counter() - begin, before=before)
    views = SeededViews(dataset)
    result['opened'] = resident()
    begin = time.perf_counter()
    indices = [*islice(iter(ViewSampler(views, seed=0)), _READ)]
    result['first_indices_seconds'] = time.perf_counter() - begin
    _write_entries(folder / 'mmlgd_index', np.array(indices))
    begin = time.process_time()
    for index in indices:
        views.get_data_info(index)
    result['us_an_entry'] = (time.process_time() - begin) / len(indices) * 1e6
    result['used'] = resident()
    result.update(entries=len(dataset), shards=len(dataset.data_list.source.shards))
    return result


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / 'large'
        large.mkdir()
        write_large(large, args.entries)
        opened = open_large(large, args.entries)
        speed = compare(Path(folder), args)
    for name, title in (
        ('read', 'Bytes only'),
        ('item', "Items of ImageNet's pipeline"),
    ):
        a_second = speed[name]['images_a_second']
        over = speed[name]['folder_over_shards']['cpu']
        print(
            f'{title}: {a_second["folder"]["median"]:.0f} images/s from a folder, '
            f'{a_second["shards"]["median"]:.0f} from shards: {over["median"]:.2f} times '
            f'({over["low"]:.2f} to {over["high"]:.2f})'
        )
    before, used = opened['before'], opened['used']
    print(
        f'{opened["entries"]} entries in {opened["shards"]} shards: opened and checked in '
        f'{opened["open_seconds"]:.1f} s; {_READ} indices in '
        f'{opened["first_indices_seconds"]:.2f} s; {opened["us_an_entry"]:.0f} us an entry; '
        f'{used["own"] - before["own"]:.0f} MiB own and shared, '
        f'{used["mapped"] - before["mapped"]:.0f} MiB mapped, {used["total"]:.0f} MiB with '
        'all libraries'
    )
    write_result(args.out, dict(machine('cpu', 1), speed=speed, large=opened))


if __name__ == '__main__':
    run_tool(main)

"""Measures training views per second and core, with mmlgd and with torchvision.

All variants read, decode and augment the same files with the same augmentation. They
run alternately. CPU time is used, as other programs influence it little.
"""

import argparse
import statistics
import tempfile
from functools import partial
from pathlib import Path

import cv2
import torch
from PIL import Image

from benchmarks.speed.pictures import photographs, sample_of, write_jpegs
from benchmarks.speed.timing import alternate, machine, ratio, spread, write_result
from benchmarks.speed.view_pipelines import STAGES, Pipeline, pipelines
from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.tool import run_tool

SIDES = dict(
    ours='ours',
    torchvision="torchvision on Pillow, MoCo v2's blur",
    torchvision_blur='torchvision on Pillow, its GaussianBlur(23)',
    torchvision_tensors='torchvision v2 on uint8 tensors',
    mmpretrain='mmpretrain and mmcv on Pillow',
)
#: The clock for the ratios: no variant uses a GPU or a second thread.
CLOCK = 'cpu'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--images', help='folder of images; default: photographs of installed packages'
    )
    parser.add_argument(
        '--number',
        type=int,
        default=24,
        help='number of images from --images; default: 24',
    )
    parser.add_argument(
        '--sizes',
        nargs='+',
        default=['500x375', '1000x750', '2000x1500'],
        help='sizes of the generated JPEGs; default: 500x375 1000x750 2000x1500',
    )
    parser.add_argument(
        '--quality',
        type=int,
        default=95,
        help='quality of the generated JPEGs; default: 95',
    )
    parser.add_argument(
        '--views', type=int, default=4, help='per image and round; default: 4'
    )
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--warm-up', type=int, default=2)
    parser.add_argument('--out', help='JSON file for the results')
    args = parser.parse_args(argv)
    for name in ('number', 'views', 'rounds'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1')
    return args


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) from a string like 500x375."""
    try:
        width, height = (int(side) for side in text.split('x'))
    except ValueError:
        width = height = 0
    if width < 1 or height < 1:
        raise ConfigError(f'--sizes takes sizes like 500x375, not {text!r}.')
    return width, height


def describe(paths: list[str]) -> dict:
    """Number, mean size (bytes) and dimensions (pixels) of the files."""
    sizes = []
    for path in paths:
        try:
            with Image.open(path) as image:
                sizes.append(image.size)
        except OSError as error:
            raise DataError(
                f'{path} is not an image that all variants can read; remove it from the '
                f'folder of --images: {error}'
            ) from error
    return dict(
        images=len(paths),
        mean_bytes=round(statistics.fmean(Path(path).stat().st_size for path in paths)),
        median_size='x'.join(str(round(statistics.median(s))) for s in zip(*sizes)),
    )


def views_of(pipeline: Pipeline, paths: list[str], views: int) -> None:
    """Create views of every image."""
    for _ in range(views):
        for path in paths:
            pipeline(path)


def compare(paths: list[str], args: argparse.Namespace) -> dict:
    """Results of all variants for a set of files."""
    files, made = describe(paths), pipelines()
    sides = {
        name: partial(views_of, pipeline, paths, args.views)
        for name, pipeline in made.items()
    }
    times = alternate(sides, args.rounds, args.warm_up)
    count = args.views * len(paths)
    return dict(
        files,
        images_per_second={
            name: spread([count / seconds for seconds in values])
            for name, values in times[CLOCK].items()
        },
        over_ours={name: ratio(times[CLOCK], name, 'ours') for name in made},
        stages_ms=breakdown(made, paths, args),
        times=times,
    )


def breakdown(
    made: dict[str, Pipeline], paths: list[str], args: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Milliseconds per image of each stage: mean over images, median over rounds."""
    rounds = {name: [] for name in made}
    for _ in range(args.rounds):
        for name, pipeline in made.items():
            spent = [pipeline.stages(path) for path in paths]
            rounds[name].append(
                {stage: statistics.fmean(s[stage] for s in spent) for stage in spent[0]}
            )
    return {
        name: {
            stage: 1000 * statistics.median(each[stage] for each in found)
            for stage in found[0]
        }
        for name, found in rounds.items()
    }


def show(row: dict) -> None:
    """Print the results for one set of files."""
    columns = (*STAGES, 'seed')
    print(
        f'\n{row["images"]} files of {row["median_size"]} (median), '
        f'{row["mean_bytes"] / 1000:.0f} kB each\n'
        f'{"":44}| images/s per core | times mmlgd (quartiles) | ms per image: '
        + '  '.join(f'{name:>6}' for name in columns)
    )
    for name, title in SIDES.items():
        gain = row['over_ours'][name]
        stages = row['stages_ms'][name]
        cells = (f'{stages[s]:6.2f}' if s in stages else 5 * ' ' + '–' for s in columns)
        print(
            f'{title:44}| {row["images_per_second"][name]["median"]:15.0f} | '
            f'{gain["median"]:5.2f} ({gain["low"]:.2f} to {gain["high"]:.2f})'
            f'{"":4} | {"":13}' + '  '.join(cells),
            flush=True,
        )


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    sizes = [parse_size(text) for text in args.sizes]
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        if args.images:
            origin, sets = args.images, [sample_of(args.images, args.number)]
        else:
            pictures, origin = photographs()
            sets = [
                write_jpegs(Path(folder) / str(size), pictures, size, args.quality)
                for size in sizes
            ]
            origin += f', as JPEG of quality {args.quality}; large images are mosaics'
        print(f'Images: {origin}')
        for paths in sets:
            rows.append(compare(paths, args))
            show(rows[-1])
    result = dict(machine('cpu', 1), images=origin, rows=rows)
    write_result(args.out, result)


if __name__ == '__main__':
    run_tool(main)

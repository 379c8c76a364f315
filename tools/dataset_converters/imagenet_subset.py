r"""List a subset of ImageNet's training split as an ann_file of mmpretrain.

SimCLR's 1 % or 10 %, from its published list, checked by count and against the images
on disk (the lists are in the folder imagenet_subsets of
https://github.com/google-research/simclr):

    python tools/dataset_converters/imagenet_subset.py data/imagenet --percent 1 \
        --list 1percent.txt

Without --list, a seeded random choice of the same size, stratified by class. With
--shots, the same number of images for every class:

    python tools/dataset_converters/imagenet_subset.py data/imagenet --shots 16

The file is DATA_ROOT/meta/1percent.txt, 10percent.txt for SimCLR's lists, and
{1percent,10percent,16shot}_seed0.txt for seeded ones. In a config:
``dict(type='mmpretrain.ImageNet', data_root='data/imagenet', split='train',
ann_file='meta/1percent.txt')``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmlgd.datasets.imagenet_subsets import (
    SIMCLR_COUNTS,
    SIMCLR_URL,
    read_simclr_list,
    train_images,
)
from mmlgd.datasets.splits import (
    annotation_lines,
    take_percent,
    take_shots,
    write_lines,
)
from mmlgd.utils.atomic import check_output_file
from mmlgd.utils.tool import run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'data_root', type=Path, help="folder of ImageNet, which contains 'train'"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--percent', type=int, help='share of the images')
    what.add_argument('--shots', type=int, help='images per class')
    parser.add_argument('--list', type=Path, help="SimCLR's list for --percent")
    parser.add_argument('--seed', type=int, default=0, help='seed of the random choice')
    parser.add_argument('--out', type=Path, help='file to write')
    args = parser.parse_args(argv)
    if args.list and args.percent is None:
        parser.error('--list requires --percent')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    if args.out:
        check_output_file(args.out)
    train_dir = args.data_root / 'train'
    by_share = args.percent is not None
    stem = f'{args.percent}percent' if by_share else f'{args.shots}shot'
    if args.list:
        chosen = read_simclr_list(args.list, args.percent, train_dir)
        kind = "SimCLR's list"
    else:
        images = train_images(train_dir)
        chosen = (
            take_percent(images, args.percent, args.seed)
            if by_share
            else take_shots(images, args.shots, args.seed)
        )
        stem += f'_seed{args.seed}'
        kind = f'a choice of seed {args.seed}'
        if args.percent in SIMCLR_COUNTS:
            url = SIMCLR_URL.format(percent=args.percent)
            kind += f", not SimCLR's, which is at {url}"
    out = args.out or args.data_root / 'meta' / f'{stem}.txt'
    lines = annotation_lines(chosen)
    write_lines(out, lines)
    sizes = [len(images) for images in chosen]
    print(
        f'{out}: {len(lines)} images of {len(chosen)} classes, {min(sizes)} to '
        f'{max(sizes)} each; {kind}'
    )


if __name__ == '__main__':
    run_tool(main)

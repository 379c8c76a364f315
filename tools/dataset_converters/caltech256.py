"""Split Caltech-256: 60 training images per class, the rest for testing.

    python tools/dataset_converters/caltech256.py data/caltech256

DATA_ROOT holds 256_ObjectCategories (class 257, clutter, stays out). Written are
DATA_ROOT/meta/train.txt and test.txt for mmpretrain, and names.txt with the
readable names. In a config: ``dict(type='mmpretrain.CustomDataset',
data_root='data/caltech256', data_prefix='256_ObjectCategories',
ann_file='meta/train.txt', classes='data/caltech256/meta/names.txt')``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmlgd.datasets import load_category_names
from mmlgd.datasets.caltech256 import IMAGE_FOLDER, NUM_IMAGES, caltech256_images
from mmlgd.datasets.splits import annotation_lines, train_test, write_lines
from mmlgd.utils.atomic import check_output_folder
from mmlgd.utils.tool import run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('data_root', type=Path)
    parser.add_argument(
        '--num-train',
        type=int,
        default=60,
        help='training images per class; default 60',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--any-count',
        action='store_true',
        help=f'accept a copy without the published {NUM_IMAGES} images',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    check_output_folder(args.data_root / 'meta', 'data_root')
    expected = None if args.any_count else NUM_IMAGES
    classes = caltech256_images(args.data_root / IMAGE_FOLDER, expected)
    meta = args.data_root / 'meta'
    for name, part in zip(
        ('train', 'test'), train_test(classes, args.num_train, args.seed)
    ):
        lines = annotation_lines(part)
        write_lines(meta / f'{name}.txt', lines)
        print(f'{meta / name}.txt: {len(lines)} images of {len(part)} classes')
    write_lines(meta / 'names.txt', load_category_names('caltech256'))


if __name__ == '__main__':
    run_tool(main)

"""Embed images with a student.

    mmlgd embed work_dirs/photos/epoch_20.pth photos/ --out photos.npy
    mmlgd embed work_dirs/photos/backbone.pth a.jpg b.jpg --out photos.csv

A training checkpoint gives unit rows in the teacher's space, backbone.pth the pooled
features of the backbone. The paths of the images are written with them: as a .txt file
beside a .npy file, otherwise as the first column.
"""

import argparse

from mmlgd.utils.tool import add_image_arguments, check_inputs, report_broken


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='training checkpoint, or backbone.pth')
    parser.add_argument('images', nargs='+', help='folders and image files')
    parser.add_argument(
        '--out', required=True, help='.npy, .csv or .parquet (needs pyarrow)'
    )
    parser.add_argument(
        '--part',
        choices=('embedding', 'features'),
        help='default: embedding for a training checkpoint, else features',
    )
    add_image_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Embed from the command line."""
    args = parse_args(argv)
    check_inputs(args.checkpoint, args.images)
    # Imported here, since --help need not wait for torch.
    from mmlgd.utils.quiet import import_apis

    import_apis()
    import numpy as np

    from mmlgd.apis.embedding_files import check_embedding_file, write_embeddings
    from mmlgd.apis.inferencers import EmbeddingInferencer
    from mmlgd.errors import DataError

    check_embedding_file(args.out)
    inferencer = EmbeddingInferencer(args.checkpoint, args.device, args.part)
    images: list[str] = []
    rows = []
    broken: list[tuple[str, str]] = []
    for paths, found in inferencer.stream(
        args.images, 'Embedding', args.batch_size, broken=broken
    ):
        images += paths
        rows.append(found)
    report_broken(broken)
    if not rows:
        raise DataError('No image could be read; check the paths.')
    table = np.concatenate(rows)
    files = write_embeddings(args.out, images, table)
    print(
        f'{len(table)} images, {table.shape[1]} values each ({inferencer.part}): '
        f'{", ".join(map(str, files))}'
    )

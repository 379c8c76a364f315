"""Classify images with a student, by names.

    mmlgd classify work_dirs/photos/epoch_20.pth photo.jpg --topk 3
    mmlgd classify work_dirs/photos/epoch_20.pth photos/ --out photos.csv --draw drawn/
    mmlgd classify work_dirs/photos/epoch_20.pth photos/ --names fox badger otter

Other names than those of the training need the teacher's text tower, which may be
downloaded. The CSV file has a line per image: its path, then names and scores. Scores are
probabilities over all names.
"""

import argparse
from pathlib import Path

from mmlgd.utils.printable import printable
from mmlgd.utils.tool import (
    add_image_arguments,
    check_inputs,
    one_or_list,
    report_broken,
    report_one_name,
)

#: Up to so many images are printed if no CSV file is written.
_PRINTED = 100


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='training checkpoint of a distillation')
    parser.add_argument('images', nargs='+', help='folders, image files, URLs')
    parser.add_argument(
        '--names',
        nargs='+',
        help="a text file, a built-in set, or names; default: the checkpoint's",
    )
    parser.add_argument(
        '--topk', type=int, default=1, help='names per image; default %(default)s'
    )
    parser.add_argument('--out', help='CSV file; needed for more than 100 images')
    parser.add_argument('--draw', help='folder of copies with the best name')
    add_image_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Classify from the command line."""
    args = parse_args(argv)
    check_inputs(args.checkpoint, args.images)
    # Imported here, since --help need not wait for torch.
    from mmlgd.utils.quiet import import_apis

    import_apis()
    from mmlgd.apis.images import iter_images, list_inputs
    from mmlgd.apis.inferencers import ZeroShotInferencer, picture_names
    from mmlgd.apis.label_files import best_names, write_labels
    from mmlgd.errors import ConfigError, DataError
    from mmlgd.utils.atomic import check_output_file, check_output_folder

    if args.out:
        check_output_file(args.out, suffixes=('.csv',))
    if args.draw:
        check_output_folder(args.draw, '--draw')
    paths = list_inputs(args.images)
    if len(paths) > _PRINTED and not args.out:
        raise ConfigError(
            f'There are {len(paths)} images; write the result to a file with --out.'
        )
    names = one_or_list(args.names)
    inferencer = ZeroShotInferencer(args.checkpoint, names, args.device)
    pictures = dict(zip(paths, picture_names(paths)))
    rows = []
    broken: list[tuple[str, str]] = []
    for found, samples in inferencer.stream(
        paths, 'Classifying', args.batch_size, broken=broken
    ):
        for path, sample in zip(found, samples):
            best = best_names(sample.pred_score, inferencer.classes, args.topk)
            rows.append((path, best))
            if args.draw:
                (image,) = iter_images(path)
                file = Path(args.draw) / pictures[path]
                inferencer.draw(image, sample, file, resize=None)
    report_broken(broken)
    report_one_name([best[0][0] for _, best in rows])
    if not rows:
        raise DataError('No image could be read; check the paths.')
    if args.out:
        write_labels(args.out, rows)
        print(f'{len(rows)} images: {args.out}')
    else:
        for path, best in rows:
            shown = [f'{name} {score:.3f}' for name, score in best]
            print(printable(path), *shown, sep='  ')
    if args.draw:
        print(f'Drawn: {args.draw}')

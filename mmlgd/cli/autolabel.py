r"""Label an unlabeled folder with the names of a student or of its teacher.

    mmlgd autolabel work_dirs/photos/epoch_20.pth photos/ --out labels/
    mmlgd autolabel work_dirs/photos/epoch_20.pth photos/ --out labels/ \
        --threshold 0.8 --format imagefolder coco --teacher
    mmlgd autolabel work_dirs/photos/epoch_20.pth photos/ --out labels/ \
        --exclude rejected.txt

Writes OUT/labels.csv with the names whose score reaches the threshold, and
OUT/review.html, a page to check them; the page saves rejected.txt. `imagefolder` copies
the images to OUT/images/NAME/, `coco` writes OUT/labels.json with a box around each whole
image. Scores are probabilities over all names: they depend on the number of names, and are
not calibrated.
"""

import argparse
from pathlib import Path

from mmlgd.utils.tool import (
    add_image_arguments,
    check_inputs,
    one_or_list,
    report_broken,
    report_one_name,
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='training checkpoint of a distillation')
    parser.add_argument('images', nargs='+', help='folders and image files')
    parser.add_argument('--out', required=True, help='folder to write')
    parser.add_argument(
        '--names',
        nargs='+',
        help="a text file, a built-in set, or names; default: the checkpoint's",
    )
    parser.add_argument(
        '--threshold', type=float, default=0.5, help='default %(default)s'
    )
    parser.add_argument(
        '--format',
        nargs='+',
        default=['csv'],
        choices=('csv', 'imagefolder', 'coco'),
        help='in addition to labels.csv',
    )
    parser.add_argument(
        '--teacher', action='store_true', help="use the teacher's predictions"
    )
    parser.add_argument('--exclude', help='text file of images to leave out')
    parser.add_argument(
        '--link', action='store_true', help='link images instead of copying them'
    )
    add_image_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Label from the command line."""
    args = parse_args(argv)
    check_inputs(args.checkpoint, args.images)
    # Imported here, since --help need not wait for torch.
    from mmlgd.utils.quiet import import_apis

    import_apis()
    from mmlgd.apis.autolabel import autolabel
    from mmlgd.errors import ConfigError

    exclude = []
    if args.exclude:
        try:
            exclude = Path(args.exclude).read_text(encoding='utf-8').splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f'--exclude {args.exclude} cannot be read: {error}; save it again on the '
                'review page.'
            ) from error
    names = one_or_list(args.names)
    found = autolabel(
        args.checkpoint,
        args.images,
        args.out,
        names,
        threshold=args.threshold,
        formats=args.format,
        use_teacher=args.teacher,
        exclude=exclude,
        link=args.link,
        batch_size=args.batch_size,
        device=args.device,
    )
    report_broken(found.broken)
    total = len(found.kept) + len(found.unsure)
    print(f'{len(found.kept)} of {total} images reach {args.threshold:g}')
    labels = [*found.kept, *found.unsure]
    scores = sorted(label.score for label in labels)
    print(
        f'Scores are {scores[0]:.3f} to {scores[-1]:.3f}, with a median of '
        f'{scores[total // 2]:.3f}'
    )
    if not found.kept:
        print('There are no labels; set a lower --threshold.')
    report_one_name([label.name for label in labels])
    print(f'Written: {", ".join(map(str, found.files))}')

r"""Classify images by a linear probe on the frozen features of a backbone.

    mmlgd probe work_dirs/photos/backbone.pth --train data/train --test data/test
    mmlgd probe work_dirs/photos/backbone.pth --train data/train --test data/test \
        --share 0.1 --out probe.json

Each folder has a subfolder per class; both must have the same names. The learning rate is
chosen by cross-validation on the training images. Prints accuracies over all images (top1)
and averaged over the classes (balanced). For configs with labelled datasets: `mmlgd knn`,
and the configs in configs/classification/.
"""

import argparse
import json

from mmlgd.utils.atomic import check_output_file, write_atomically
from mmlgd.utils.tool import add_image_arguments, check_inputs


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='training checkpoint, or backbone.pth')
    parser.add_argument('--train', required=True, help='folder of labelled images')
    parser.add_argument('--test', required=True, help='folder of labelled images')
    parser.add_argument(
        '--share',
        type=float,
        default=1.0,
        help='share of the training images of each class, at least one; default all',
    )
    parser.add_argument(
        '--epochs', type=int, default=100, help='of the probe; default %(default)s'
    )
    parser.add_argument(
        '--learning-rates',
        type=float,
        nargs='+',
        default=[0.1, 0.3, 1.0, 3.0, 10.0, 30.0],
        help='candidates, for a batch of 256; default 0.1 to 30',
    )
    parser.add_argument('--seed', type=int, default=0, help='default %(default)s')
    parser.add_argument('--out', help='also write a JSON file')
    add_image_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Probe from the command line."""
    args = parse_args(argv)
    check_inputs(args.checkpoint, [args.train, args.test])
    if args.out:
        check_output_file(args.out)
    # Imported here, since --help need not wait for torch.
    from mmlgd.utils.quiet import import_apis

    import_apis()
    from mmlgd.apis.probe import probe_folders

    found = probe_folders(
        args.checkpoint,
        args.train,
        args.test,
        share=args.share,
        learning_rates=args.learning_rates,
        epochs=args.epochs,
        seed=args.seed,
        batch_size=args.batch_size,
        device=args.device,
    )
    print('  '.join(f'{name} {value}' for name, value in found.items()))
    if args.out:
        write_atomically(args.out, json.dumps(found, indent=2) + '\n')
        print(f'Written: {args.out}')

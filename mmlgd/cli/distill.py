r"""Distil a CLIP into a small network, on your images and for your names.

    mmlgd distill --images photos/ --names names.txt --out work_dirs/photos
    mmlgd distill --images photos/ --names names.txt --plan
    mmlgd distill --images 'shards/{000..123}.tar' --names coco --devices 8 \
        --student mbv3 --teacher ViT-L-14/datacomp_xl_s13b_b90k --out work_dirs/coco

Settings that are not given are chosen by the number of images and the device, and are
printed with their reasons. The complete config is written to OUT/config.py.
"""

import argparse

from mmlgd.errors import ConfigError
from mmlgd.utils.tool import add_config_options, one_or_list


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--images',
        nargs='+',
        required=True,
        help='a folder, tar shards (folder, file or pattern), or image files; no labels',
    )
    parser.add_argument(
        '--names',
        nargs='+',
        required=True,
        help='a text file with one category name per line, a built-in set, or the names',
    )
    parser.add_argument(
        '--student',
        default='mobilenetv4_conv_small',
        help='of `mmlgd list students`, or any other name of timm; default %(default)s',
    )
    parser.add_argument(
        '--teacher',
        default='ViT-B-16/dfn2b',
        help='of `mmlgd list teachers`, MODEL/TAG or MODEL/FILE of open_clip, or a weight '
        'file or folder; default %(default)s',
    )
    parser.add_argument(
        '--out', default='work_dirs/distill', help='folder; default %(default)s'
    )
    parser.add_argument('--epochs', type=int, help='passes over the images')
    parser.add_argument('--batch-size', type=int, help='images per step and device')
    parser.add_argument('--learning-rate', type=float, help='peak learning rate')
    parser.add_argument('--workers', type=int, help='loading processes per device')
    parser.add_argument(
        '--devices',
        type=int,
        default=1,
        help='GPUs, or processes without a GPU; default %(default)s',
    )
    parser.add_argument('--seed', type=int, default=0, help='default %(default)s')
    parser.add_argument(
        '--resume',
        nargs='?',
        const=True,
        default=False,
        metavar='CHECKPOINT',
        help='resume the run in OUT, from its latest or from this checkpoint',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='start a new run in a used folder'
    )
    parser.add_argument(
        '--plan',
        action='store_true',
        help='only print the plan, with an estimate of time and disk; nothing is trained '
        'or kept',
    )
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Distil from the command line."""
    options = vars(parse_args(argv))
    # Imported here, since --help need not wait for torch.
    from mmlgd.utils.quiet import import_apis

    import_apis()
    from mmlgd.apis.distillation import Estimate, distill

    for name in ('images', 'names'):
        options[name] = one_or_list(options[name])
    overrides = options.pop('cfg_options')
    for name in {*overrides} & {*options}:
        raise ConfigError(f'--cfg-options {name}: use --{name} instead.')
    done = distill(**options, **overrides)
    if not isinstance(done, Estimate):
        print(f'Trained: {done.checkpoint}, and {done.backbone} for other tasks')
        print(f'Classify: mmlgd classify {done.checkpoint} IMAGE')

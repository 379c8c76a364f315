"""``mmlgd export``: export a student to another library or runtime."""

import argparse
import json
import sys
from collections.abc import Callable
from itertools import chain

from mmlgd.apis.export import export_backbone, export_classifier, export_embedding
from mmlgd.errors import ConfigError
from mmlgd.export.model import INPUT_TYPES
from mmlgd.export.registry import find_format, format_names, option_names
from mmlgd.utils.atomic import check_output_file, write_atomically
from mmlgd.utils.checks import check_in_range

_EXPORTS: dict[str, Callable] = dict(
    backbone=export_backbone, embedding=export_embedding, classifier=export_classifier
)
#: Options of one part only.
_PART_OPTIONS = dict(
    backbone=('out_indices',),
    embedding=(),
    classifier=('categories', 'bank_file', 'templates', 'as_logits', 'labels'),
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; ``args.options`` holds the options of the format."""
    parser = argparse.ArgumentParser(
        description='Export a backbone, with or without projector, or a zero-shot '
        'classifier. --format NAME --help lists the options of a format.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='formats:\n'
        + '\n'.join(
            f'  {name:<14}{find_format(name).description}' for name in format_names()
        ),
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument('--format', required=True, choices=format_names())
    argv = sys.argv[1:] if argv is None else argv
    is_named = any(word.startswith('--format') for word in argv)
    form = find_format(parser.parse_known_args(argv)[0].format) if is_named else None
    parser.add_argument('-h', '--help', action='help', help='show this message')
    parser.add_argument('checkpoint', help='training checkpoint, or backbone.pth')
    parser.add_argument('--out', required=True, help='file to write')
    if form is not None:
        form.add_arguments(parser)
        if form.is_graph:
            _add_graph_arguments(parser)
    args = parser.parse_args(argv)
    names = [] if form is None else option_names(form)
    args.options = {name: getattr(args, name) for name in names}
    return args


def _add_graph_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--part',
        choices=tuple(_EXPORTS),
        default='backbone',
        help='embedding: backbone and projector; it and the classifier need a training '
        'checkpoint',
    )
    parser.add_argument(
        '--image-size',
        type=int,
        nargs='+',
        help="side, or height and width, in pixels; default: the checkpoint's",
    )
    parser.add_argument(
        '--fold-preprocessing',
        nargs='?',
        const='uint8',
        choices=INPUT_TYPES,
        help='accept images from 0 to 255 in this dtype, and normalise them in the graph',
    )
    parser.add_argument(
        '--calibration',
        nargs='+',
        help='for int8: folder or files, a few hundred images of the application',
    )
    check = parser.add_argument_group('check')
    check.add_argument(
        '--check',
        nargs='+',
        metavar='IMAGES',
        help='compare with the student on images',
    )
    check.add_argument(
        '--labels',
        action='store_true',
        default=None,
        help='IMAGES is a folder with a subfolder per class: also compare accuracies',
    )
    check.add_argument(
        '--min-agreement',
        type=float,
        default=0.99,
        help='fail below this share of equal best names, or below this mean cosine for a '
        'backbone; default %(default)s',
    )
    check.add_argument('--check-out', help='JSON file of the check')
    backbone = parser.add_argument_group('backbone')
    backbone.add_argument('--out-indices', type=int, nargs='+', help='feature maps')
    names = parser.add_argument_group('classifier')
    names.add_argument(
        '--categories',
        help="built-in set or text file; default: the checkpoint's names",
    )
    names.add_argument('--bank-file', help='text embeddings of --categories')
    names.add_argument('--templates', help='prompts of --categories')
    names.add_argument(
        '--as-logits', action='store_true', default=None, help='omit the softmax'
    )


def main(argv: list[str] | None = None) -> None:
    """Export from the command line."""
    args = parse_args(argv)
    part = getattr(args, 'part', 'backbone')
    given = {
        key: getattr(args, key)
        for key in chain(*_PART_OPTIONS.values())
        if getattr(args, key, None) is not None
    }
    wrong = sorted(set(given) - set(_PART_OPTIONS[part]))
    if wrong:
        option = wrong[0].replace('_', '-')
        raise ConfigError(f'--{option} cannot be used with --part {part}; omit it.')
    _check_options(args)
    done = _EXPORTS[part](
        args.checkpoint,
        args.format,
        args.out,
        image_size=getattr(args, 'image_size', None),
        fold_preprocessing=getattr(args, 'fold_preprocessing', None),
        calibration=getattr(args, 'calibration', None),
        check=getattr(args, 'check', None),
        **given,
        **args.options,
    )
    if done.cosine is not None:
        checked = (
            'The mean cosine of its outputs with those of the student is '
            f'{done.cosine:.4f} on calibration images.'
        )
    elif done.difference is None:
        reason = find_format(args.format).unchecked
        checked = f'Its outputs were not checked: {reason}.'
    else:
        checked = (
            'Its outputs differ from those of the student by '
            f'{done.difference:.1e} at most.'
        )
    print(f'Wrote {done.path} for {args.format}. {checked} Usage:\n{done.usage}')
    if done.check is not None:
        print(f'Check:\n{done.check.table()}')
        if args.check_out:
            text = json.dumps(done.check.to_dict(), indent=2) + '\n'
            write_atomically(args.check_out, text)
        done.check.require(args.min_agreement)


def _check_options(args: argparse.Namespace) -> None:
    """Refuse options of the check without the check, before anything is read."""
    if getattr(args, 'check', None) is None:
        for option in ('labels', 'check_out'):
            if getattr(args, option, None) is not None:
                name = option.replace('_', '-')
                raise ConfigError(f'--{name} needs --check IMAGES; add it.')
        return
    check_in_range('--min-agreement', args.min_agreement, 0, 1)
    if args.check_out:
        check_output_file(args.check_out, '--check-out')

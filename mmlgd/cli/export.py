"""``mmlgd export``: export a student to another library or runtime."""

import argparse
import sys
from collections.abc import Callable
from itertools import chain

from mmlgd.apis.export import export_backbone, export_classifier, export_embedding
from mmlgd.errors import ConfigError
from mmlgd.export.model import INPUT_TYPES
from mmlgd.export.registry import find_format, format_names, option_names

_EXPORTS: dict[str, Callable] = dict(
    backbone=export_backbone, embedding=export_embedding, classifier=export_classifier
)
#: Options of one part only.
_PART_OPTIONS = dict(
    backbone=('out_indices',),
    embedding=(),
    classifier=('categories', 'bank_file', 'templates', 'as_logits'),
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; ``args.options`` holds the options of the format."""
    parser = argparse.ArgumentParser(
        description='Export a backbone, with or without projector, or a zero-shot '
        'classifier. --format NAME --help lists the options of a format.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='formats:\n'
        + '\n'.join(
            f'  {name:<12}{find_format(name).description}' for name in format_names()
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
    done = _EXPORTS[part](
        args.checkpoint,
        args.format,
        args.out,
        image_size=getattr(args, 'image_size', None),
        fold_preprocessing=getattr(args, 'fold_preprocessing', None),
        **given,
        **args.options,
    )
    if done.difference is None:
        checked = (
            f'Its outputs were not checked: the library that runs {args.format} is not '
            'installed.'
        )
    else:
        checked = (
            'Its outputs differ from those of the student by '
            f'{done.difference:.1e} at most.'
        )
    print(f'Wrote {done.path} for {args.format}. {checked} Usage:\n{done.usage}')

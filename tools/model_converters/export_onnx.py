#!/usr/bin/env python
"""Export a distilled backbone, or a zero-shot classifier, as ONNX."""

import argparse
import os.path as osp
import sys
from importlib.util import find_spec

if find_spec('mmlgd') is None:  # not installed: run from the repository
    sys.path.insert(0, osp.dirname(osp.dirname(osp.dirname(osp.abspath(__file__)))))

from mmlgd.apis.export_onnx import (
    INPUT_TYPES,
    export_backbone_onnx,
    export_classifier_onnx,
)
from mmlgd.errors import ConfigError
from mmlgd.utils.atomic import check_output_file
from mmlgd.utils.tool import run_tool

_CLASSIFIER_OPTIONS = ('categories', 'bank_file', 'templates', 'as_logits')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='training checkpoint, or backbone.pth')
    parser.add_argument('--out', required=True, help='file to write')
    parser.add_argument(
        '--part',
        choices=('backbone', 'classifier'),
        default='backbone',
        help='the classifier needs a training checkpoint of LGD',
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
        help='take images of 0 to 255 in this type and normalise within the graph',
    )
    parser.add_argument('--opset', type=int, default=17, help='ONNX operator set')
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
        '--as-logits', action='store_true', default=None, help='leave the softmax out'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Export from the command line."""
    args = parse_args(argv)
    check_output_file(args.out)
    allowed = _CLASSIFIER_OPTIONS if args.part == 'classifier' else ('out_indices',)
    given = {
        key: getattr(args, key)
        for key in (*_CLASSIFIER_OPTIONS, 'out_indices')
        if getattr(args, key) is not None
    }
    wrong = sorted(set(given) - set(allowed))
    if wrong:
        option = wrong[0].replace('_', '-')
        raise ConfigError(
            f'--{option} does not go with --part {args.part}; leave it out.'
        )
    if args.image_size is not None and len(args.image_size) > 2:
        raise ConfigError('--image-size takes one number, or height and width.')
    size = args.image_size * (3 - len(args.image_size)) if args.image_size else None
    export = dict(backbone=export_backbone_onnx, classifier=export_classifier_onnx)
    difference = export[args.part](
        args.checkpoint,
        args.out,
        image_size=size,
        fold_preprocessing=args.fold_preprocessing,
        opset=args.opset,
        **given,
    )
    print(
        f'Wrote {args.out}. onnxruntime and torch differ by {difference:.1e} at most '
        '(relative to the largest value where that is above 1).'
    )


if __name__ == '__main__':
    run_tool(main)

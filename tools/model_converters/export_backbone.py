#!/usr/bin/env python
"""Export a distilled backbone with the key names of another library."""

import argparse
import os.path as osp
import sys
from importlib.util import find_spec

if find_spec('mmlgd') is None:  # not installed: run from the repository
    sys.path.insert(0, osp.dirname(osp.dirname(osp.dirname(osp.abspath(__file__)))))

from mmlgd.apis.export_backbone import export_backbone, usage
from mmlgd.utils.atomic import check_output_file
from mmlgd.utils.key_maps import FORMATS
from mmlgd.utils.tool import run_tool


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='training checkpoint, or backbone.pth')
    parser.add_argument('--format', required=True, choices=FORMATS, help='the library')
    parser.add_argument('--out', required=True, help='file to write')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Export from the command line."""
    args = parse_args(argv)
    check_output_file(args.out)
    target = export_backbone(args.checkpoint, args.format, args.out)
    print(
        f'Wrote {args.out} for {target.library}. Use it so:\n{usage(target, args.out)}'
    )


if __name__ == '__main__':
    run_tool(main)

#!/usr/bin/env python
"""Export a distilled backbone, or a zero-shot classifier, as ONNX."""

import os.path as osp
import sys
from importlib.util import find_spec

if find_spec('mmlgd') is None:  # not installed: import from the repository
    sys.path.insert(0, osp.dirname(osp.dirname(osp.dirname(osp.abspath(__file__)))))

from mmlgd.cli import export
from mmlgd.utils.tool import run_tool


def main(argv: list[str] | None = None) -> None:
    """Export from the command line."""
    export.main(['--format', 'onnx', *(sys.argv[1:] if argv is None else argv)])


if __name__ == '__main__':
    run_tool(main)

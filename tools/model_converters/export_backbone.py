#!/usr/bin/env python
"""Export a distilled backbone with the key names of another library."""

import os.path as osp
import sys
from importlib.util import find_spec

if find_spec('mmlgd') is None:  # not installed: import from the repository
    sys.path.insert(0, osp.dirname(osp.dirname(osp.dirname(osp.abspath(__file__)))))

from mmlgd.cli.export import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

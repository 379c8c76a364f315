#!/usr/bin/env python
"""Test any config: distillation, classification, detection or segmentation."""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec('mmlgd') is None:  # not installed: run from the repository
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmlgd.cli.test import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

#!/usr/bin/env python
"""Test any config: distillation, classification, detection or segmentation."""

from mmlgd.cli.test import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

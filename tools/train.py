#!/usr/bin/env python
"""Train any config: distillation, classification, detection or segmentation."""

from mmlgd.cli.train import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

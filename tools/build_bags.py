#!/usr/bin/env python
"""Compute the bags for BINGO."""

from mmlgd.cli.build_bags import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

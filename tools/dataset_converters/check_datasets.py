#!/usr/bin/env python
"""Show which datasets are complete, which files are missing, and how to get them."""

from mmlgd.cli.check_datasets import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

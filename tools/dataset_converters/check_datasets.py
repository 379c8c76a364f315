#!/usr/bin/env python
"""Show which datasets are there, what is missing, and how to get it."""

from mmlgd.cli.check_datasets import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

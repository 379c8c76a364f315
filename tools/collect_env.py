#!/usr/bin/env python
"""Print the environment, for bug reports."""

from mmlgd.cli.collect_env import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

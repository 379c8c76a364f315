#!/usr/bin/env python
"""Write the index of tar shards."""

from mmlgd.cli.index_shards import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

#!/usr/bin/env python
"""Write the bags that BINGO trains on."""

from mmlgd.cli.build_bags import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

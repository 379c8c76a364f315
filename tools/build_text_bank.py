#!/usr/bin/env python
"""Write a textual semantics bank."""

from mmlgd.cli.build_text_bank import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

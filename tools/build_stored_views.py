#!/usr/bin/env python
"""Store augmented views of the training images with the teacher's embeddings."""

from mmlgd.cli.build_stored_views import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

#!/usr/bin/env python
"""Fit the projection of a teacher without text into the space of a CLIP model."""

from mmlgd.cli.align_teacher import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

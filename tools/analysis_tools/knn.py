#!/usr/bin/env python
"""Classify images by the nearest neighbours of their frozen features."""

from mmlgd.cli.knn import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

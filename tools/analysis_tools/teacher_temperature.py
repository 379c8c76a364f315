#!/usr/bin/env python
"""Compare temperatures of a teacher's softmax on unlabeled images."""

from mmlgd.cli.teacher_temperature import main
from mmlgd.utils.tool import run_tool

if __name__ == '__main__':
    run_tool(main)

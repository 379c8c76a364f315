#!/usr/bin/env python
"""Print a config with its bases and the options of the command line.

    python tools/misc/print_config.py configs/lgd/r50_mbv3.py --cfg-options model.alpha=0.3

The config is checked as in training: unknown types and options of classes are refused.
"""

import argparse

from mmlgd.utils.tool import add_config_options, run_tool


def main(argv: list[str] | None = None) -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    add_config_options(parser)
    args = parser.parse_args(argv)
    from mmlgd.utils.config_check import check_config
    from mmlgd.utils.run_config import read_config

    cfg = read_config(args.config, args.cfg_options, [])
    check_config(cfg)
    print(cfg.pretty_text)


if __name__ == '__main__':
    run_tool(main)

#!/usr/bin/env python
"""Count parameters and multiply-adds of the students of distillation configs.

    python tools/analysis_tools/get_flops.py configs/lgd/r50_mbv3.py [more configs]

Counted by mmengine.analysis for the backbone and one image: as it is trained, and with
its branches fused as it is deployed. Prints a table and writes a JSON.
"""

import argparse
import json
from pathlib import Path

from mmlgd.utils.atomic import check_output_file, write_atomically
from mmlgd.utils.tool import add_config_options, run_tool


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', help='configs of distillations')
    parser.add_argument('--size', type=int, default=224, help='side in pixels')
    parser.add_argument('--out', default='work_dirs/flops.json', help='JSON to write')
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(argv)
    check_output_file(args.out)
    from mmengine.registry import init_default_scope

    from mmlgd.apis.complexity import measure_student
    from mmlgd.utils.run_config import read_config

    results = {}
    print(f'{"config":32} {"width":>5} {"M params":>9} {"M MACs":>8}  fused')
    for path in args.configs:
        cfg = read_config(path, args.cfg_options, ['model'])
        init_default_scope(cfg.get('default_scope', 'mmlgd'))
        name = Path(path).stem
        found = results[name] = measure_student(cfg, args.size)
        numbers = [found[k] / 1e6 for k in found if k.endswith(('parameters', 'macs'))]
        print(
            f'{name:32} {found["feature_width"]:5} {numbers[0]:9.2f} {numbers[1]:8.0f}  '
            f'{numbers[2]:.2f} {numbers[3]:.0f}'
        )
    write_atomically(args.out, json.dumps(results, indent=1) + '\n')
    print(f'Written to {args.out}.')


if __name__ == '__main__':
    run_tool(main)

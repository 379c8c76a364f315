#!/usr/bin/env python
r"""Summarise the logs of training runs, and draw their curves.

    python tools/analysis_tools/analyze_logs.py work_dirs/r50_mbv3 work_dirs/r50_r18 \
        --keys loss zero_shot/student_top1 --out curves.png

Prints first, last, lowest and highest value of each logged scalar, and the time of a step.
`mmlgd report` shows the same with names and images.
"""

import argparse

from mmlgd.utils.atomic import check_output_file
from mmlgd.utils.tool import run_tool


def main(argv: list[str] | None = None) -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dirs', nargs='+', help='work dirs of training runs')
    parser.add_argument('--keys', nargs='+', help='scalars to show; default: all')
    parser.add_argument('--out', help='image file of the curves, such as .png or .pdf')
    args = parser.parse_args(argv)
    if args.out:
        check_output_file(args.out)
    from mmlgd.errors import ConfigError
    from mmlgd.report import collect_run
    from mmlgd.utils.suggest import suggest
    from mmlgd.visualization.curve_figure import draw_curve_figure

    logs = {path: collect_run(path).log for path in args.work_dirs}
    found = {path: log.training | log.evaluation for path, log in logs.items()}
    known = dict.fromkeys(key for curves in found.values() for key in curves)
    for key in args.keys or []:
        if key not in known:
            raise ConfigError(
                f'--keys: {key!r} was not logged.{suggest(key, known)} There are: '
                f'{", ".join(known)}.'
            )
    for path, log in logs.items():
        step = (
            f'{log.seconds / log.iterations:.4f} s' if log.iterations else 'not logged'
        )
        print(f'{path}: {log.iterations} iterations, time of a step {step}')
        print(f'  {"":36}{"first":>10}{"last":>10}{"lowest":>10}{"highest":>10}')
        for key in args.keys or known:
            values = [value for _, value in found[path].get(key, [])]
            if values:
                row = (values[0], values[-1], min(values), max(values))
                print(f'  {key:36}' + ''.join(f'{value:>10.4g}' for value in row))
    if args.out:
        draw_curve_figure(found, args.keys or list(known), args.out)
        print(f'Written: {args.out}')


if __name__ == '__main__':
    run_tool(main)

"""List the datasets that are present, what is missing, and how to get it.

    mmlgd check-datasets            # all of them
    mmlgd check-datasets coco lvis_v1

The exit code is 1 if a dataset given by name is not ready. The report is also written to
a JSON file.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mmlgd.datasets.check import DatasetReport, check_dataset
from mmlgd.datasets.expected import EXPECTED
from mmlgd.errors import ConfigError
from mmlgd.utils.atomic import check_output_file, write_atomically


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = ', '.join(EXPECTED)
    parser.add_argument('names', nargs='*', help=f'any of {known}; all if none')
    parser.add_argument('--data-root', type=Path, default=Path('data'))
    parser.add_argument(
        '--folder',
        action='append',
        default=[],
        metavar='NAME=DIR',
        help='folder of one dataset, if it is not the usual one in --data-root',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/check_datasets.json'),
        help='JSON report; default %(default)s',
    )
    return parser.parse_args(argv)


def folders(args: argparse.Namespace) -> dict[str, Path]:
    """Folder in which each dataset is expected.

    Raises:
        ConfigError: A name is unknown, or ``--folder`` gives no folder for it.
    """
    given = dict(option.partition('=')[::2] for option in args.folder)
    for name in (*args.names, *given):
        if name not in EXPECTED:
            raise ConfigError(
                f'Unknown dataset {name!r}: choose from {", ".join(EXPECTED)}.'
            )
        if name in given and not given[name]:
            raise ConfigError(f'--folder {name} gives no folder: write {name}=DIR.')
    return {
        name: Path(given.get(name) or args.data_root / EXPECTED[name].folder)
        for name in args.names or EXPECTED
    }


def print_report(report: DatasetReport) -> None:
    print(f'{report.status:10}  {report.name:16}  {report.folder}  ({report.title})')
    for need in report.needs if report.status == 'incomplete' else ():
        wanted = '' if need.expected is None else f' of {need.expected:,}'
        mark = need.fault or 'ok'
        print(f'{"":12}- {need.what}: {need.found:,}{wanted}, {mark}')
    if report.status != 'ready':
        print(f'{"":12}{report.get}')


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    check_output_file(args.out)
    reports = []
    for name, folder in folders(args).items():
        reports.append(check_dataset(name, folder))
        print_report(reports[-1])
    content = json.dumps([asdict(report) for report in reports], indent=2)
    write_atomically(args.out, content + '\n')
    print(f'written to {args.out}')
    if args.names and any(report.status != 'ready' for report in reports):
        sys.exit(1)

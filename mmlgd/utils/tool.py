"""Command-line options and exit handling of the tools; does not import torch."""

import argparse
import logging
import os
import sys
from collections.abc import Callable

from mmlgd.errors import MMLGDError

from .config_options import ConfigOptions

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``, read by ``run_config.read_config``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        default={},
        metavar='KEY=VALUE',
        help='change settings of the config: nested keys as a.b.c=value, lists as '
        "'key=[a, b]', strings with commas in quotes (grammar: "
        'mmlgd/utils/config_options.py)',
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that train.py and test.py share."""
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    add_config_options(parser)
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        help='launcher of the ranks; default: detected from the environment',
    )
    # torch.distributed.launch passes it; the environment contains the same value.
    parser.add_argument('--local_rank', '--local-rank', help=argparse.SUPPRESS)


def run_tool(main: Callable[[], int | None]) -> None:
    """Run a tool and exit with its code; on an MMLGDError, print its message and exit 2.

    ``MMLGD_DEBUG=1`` shows the traceback instead. Other errors keep their traceback,
    since they are bugs.
    """
    try:
        code = main() or 0
    except MMLGDError as error:
        if os.environ.get('MMLGD_DEBUG') == '1':
            raise
        rank = os.environ.get('RANK', '0')
        where = '' if rank == '0' else f' (rank {rank})'
        print(f'{type(error).__name__}{where}: {error}', file=sys.stderr)
        sys.exit(2)
    # A tool that has not imported torch has no process group.
    distributed = sys.modules.get('torch.distributed')
    if distributed and distributed.is_available() and distributed.is_initialized():
        _leave_group(code)
    if code:
        sys.exit(code)


def _leave_group(code: int) -> None:
    """Leave the process group after all ranks are done: launchers kill unfinished ranks.

    With gloo, some of torch's threads outlive the interpreter and sometimes abort a
    finished process (3 of 8 runs with torch 2.11 under autocast). torchrun then reports
    the whole run as failed, so the process exits immediately.
    """
    from torch import distributed

    from .first_rank import release_groups

    is_gloo = distributed.get_backend() == 'gloo'
    distributed.barrier()
    release_groups()
    distributed.destroy_process_group()
    if is_gloo:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

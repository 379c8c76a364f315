"""Command-line options and exit handling of the tools; does not import torch."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence

from mmlgd.errors import CheckpointError, DataError, MMLGDError

from .config_options import ConfigOptions

#: Broken images that are printed.
_SHOWN = 20
#: So many images with one name are doubtful.
_MANY = 20
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


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of tools that run a model on images."""
    parser.add_argument(
        '--batch-size', type=int, default=32, help='default %(default)s'
    )
    parser.add_argument('--device', help='default: the GPU, if there is one')


def one_or_list(values: list[str] | None) -> str | list[str] | None:
    """The value of an option that takes one place or set, or several names."""
    return values[0] if values and len(values) == 1 else values


def check_inputs(checkpoint: str, images: Sequence[str]) -> None:
    """Refuse files and folders that do not exist, before torch is imported.

    Raises:
        CheckpointError: The checkpoint does not exist.
        DataError: An image or folder does not exist.
    """
    local = [path for path in (checkpoint, *images) if '://' not in path]
    missing = [path for path in local if not os.path.exists(os.path.expanduser(path))]
    if not missing:
        return
    text = f'{missing[0]!r} does not exist; correct the path.'
    if missing[0] == checkpoint:
        raise CheckpointError(f'The checkpoint {text}')
    more = f' Nor do {len(missing) - 1} others.' if missing[1:] else ''
    raise DataError(f'The image or folder {text}{more}')


def report_one_name(names: Sequence[str]) -> None:
    """Warn on the standard error if many images have one name only."""
    if len(names) >= _MANY and len({*names}) == 1:
        print(
            f'All {len(names)} images got the name {names[0]!r}. If that cannot be '
            'right, train for more epochs or use other names.',
            file=sys.stderr,
        )


def report_broken(broken: Sequence[tuple[str, str]]) -> None:
    """Print which images were left out, on the standard error."""
    if not broken:
        return
    print(f'{len(broken)} image(s) cannot be read and were left out:', file=sys.stderr)
    for _, message in broken[:_SHOWN]:
        print(f'  {message}', file=sys.stderr)
    if len(broken) > _SHOWN:
        print(f'  and {len(broken) - _SHOWN} more', file=sys.stderr)


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
        message = _without_traceback(str(error), type(error).__name__)
        print(f'{type(error).__name__}{where}: {message}', file=sys.stderr)
        sys.exit(2)
    # A tool that has not imported torch has no process group.
    distributed = sys.modules.get('torch.distributed')
    if distributed and distributed.is_available() and distributed.is_initialized():
        leave_group(code)
    if code:
        sys.exit(code)


def _without_traceback(message: str, kind: str) -> str:
    """The error of a data loader's worker, to which torch adds the worker's traceback."""
    is_worker = message.startswith(f'Caught {kind} in DataLoader worker')
    marker = f'\nmmlgd.errors.{kind}: '
    return message.rpartition(marker)[2].rstrip() if is_worker else message


def leave_group(code: int) -> None:
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

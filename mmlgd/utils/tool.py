"""What the tools do around mmengine's Runner: options, config, last words."""

import argparse
import logging
import os
import os.path as osp
import sys
from collections.abc import Callable, Sequence

from mmengine.config import Config, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import distributed

from mmlgd.errors import ConfigError, MMLGDError

from .annotation_files import check_annotation_files
from .launch import set_up_distributed
from .mmengine_private import read_weights_only


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``, read by :func:`read_config`."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='change settings of the config: key=value, nested keys as a.b.c=value, '
        'lists as key="[a,b]"',
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that train.py and test.py share."""
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    add_config_options(parser)
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm', 'mpi'),
        default='none',
        help='what starts the ranks',
    )
    # torch.distributed.launch passes it; the environment says the same.
    parser.add_argument('--local_rank', '--local-rank', help=argparse.SUPPRESS)


def read_config(path: str, options: dict, needed: Sequence[str]) -> Config:
    """Read a config and lay the options of ``--cfg-options`` over it.

    Args:
        path (str): Config file.
        options (dict): Dotted key to value.
        needed (Sequence[str]): Top-level fields the tool cannot do without.

    Raises:
        ConfigError: No such config, or a field is missing.
    """
    try:
        cfg = Config.fromfile(path)
    except OSError as error:
        raise ConfigError(f'Config {path!r} cannot be read: {error}') from error
    cfg.merge_from_dict(options)
    absent = [name for name in needed if cfg.get(name) is None]
    if absent:
        raise ConfigError(
            f'Config {path!r} has no {", ".join(absent)}, which this tool needs; add '
            'it, or inherit from a file of configs/_base_/ that has it.'
        )
    return cfg


def load_config(args: argparse.Namespace, needed: Sequence[str]) -> Config:
    """Read ``args.config`` and apply the options of :func:`add_common_arguments`.

    ``work_dir`` is the option's, else the config's, else ``work_dirs/`` and the
    config's name.

    Args:
        args (Namespace): Parsed options.
        needed (Sequence[str]): As for :func:`read_config`.
    """
    cfg = read_config(args.config, args.cfg_options, needed)
    cfg.launcher = args.launcher
    stem = osp.splitext(osp.basename(args.config))[0]
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or osp.join('work_dirs', stem)
    return cfg


def build_runner(cfg: Config, dataloaders: Sequence[str]) -> Runner:
    """Build the Runner of a config, after :func:`set_up_distributed`.

    Args:
        cfg (Config): Full config.
        dataloaders (Sequence[str]): Those the tool uses; their annotation files must
            be there.

    Raises:
        DataError: An annotation file is not there.
    """
    check_annotation_files(cfg, dataloaders)
    set_up_distributed(cfg)
    # A config of another library may name no class of mmlgd that sees to it.
    read_weights_only()
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def run_tool(main: Callable[[], None]) -> None:
    """Run a tool; end on a wrong input with its message and exit code 2.

    ``MMLGD_DEBUG=1`` shows the traceback instead. Other errors keep theirs, since
    they are faults of the program.
    """
    try:
        main()
    except MMLGDError as error:
        if os.environ.get('MMLGD_DEBUG') == '1':
            raise
        rank = os.environ.get('RANK', '0')
        where = '' if rank == '0' else f' (rank {rank})'
        print(f'{type(error).__name__}{where}: {error}', file=sys.stderr)
        sys.exit(2)
    if distributed.is_available() and distributed.is_initialized():
        _leave_group()


def _leave_group() -> None:
    """End this rank, once all have ended: a launcher kills those still at work.

    Over gloo, some of torch's threads outlive the interpreter and now and then abort
    a finished process (seen with torch 2.11 under autocast: 3 of 8 runs), for which
    torchrun then calls the whole run failed. So there the process ends at once.
    """
    is_gloo = distributed.get_backend() == 'gloo'
    distributed.barrier()
    distributed.destroy_process_group()
    if is_gloo:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

"""What the tools do around their work: options and last words; imports no torch."""

import argparse
import logging
import os
import sys
from collections.abc import Callable

from mmlgd.errors import MMLGDError

<<<<<<< HEAD
=======
from mmlgd.errors import ConfigError, MMLGDError

from .annotation_files import check_annotation_files
from .atomic import check_output_folder
from .config_check import check_config
from .config_fields import (
    check_option_fields,
    warn_of_compile,
    warn_of_misspelt_fields,
)
>>>>>>> breaker
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
        "'key=[a, b]', texts with commas in quotes (grammar: mmlgd/utils/config_options.py)",
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that train.py and test.py share."""
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    add_config_options(parser)
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        help='what starts the ranks; default: found out from the environment',
    )
    # torch.distributed.launch passes it; the environment says the same.
    parser.add_argument('--local_rank', '--local-rank', help=argparse.SUPPRESS)


<<<<<<< HEAD
def run_tool(main: Callable[[], int | None]) -> None:
    """Run a tool; end with its exit code, on a wrong input with its message and 2.
=======
def read_config(
    path: str, options: dict, needed: Sequence[str], optional: Sequence[str] = ()
) -> Config:
    """Read a config and lay the options of ``--cfg-options`` over it.

    Args:
        path (str): Config file.
        options (dict): Dotted key to value.
        needed (Sequence[str]): Top-level fields the tool cannot do without.
        optional (Sequence[str]): Further fields that the tool reads and a Runner
            does not. Defaults to none.

    Raises:
        ConfigError: No such config, a field is missing, an option would change
            nothing, or a type or an option of a class is unknown.
    """
    try:
        cfg = Config.fromfile(path)
    except OSError as error:
        raise ConfigError(f'Config {path!r} cannot be read: {error}') from error
    check_option_fields(cfg, options, {*needed, *optional})
    _lay_over(cfg, options)
    absent = [name for name in needed if cfg.get(name) is None]
    if absent:
        raise ConfigError(
            f'Config {path!r} has no {", ".join(absent)}, which this tool needs; add '
            'it, or inherit from a file of configs/_base_/ that has it.'
        )
    warn_of_misspelt_fields(cfg)
    # The tools set this scope where a config has none.
    _check(cfg, {*needed, *optional}, 'mmlgd')
    return cfg


def _check(cfg: Config, *args) -> None:
    with set_prints_aside():  # of libraries, when they are imported
        check_config(cfg, *args)


def _lay_over(cfg: Config, options: dict) -> None:
    # One at a time, so that an error can name the option.
    for key, value in options.items():
        try:
            cfg.merge_from_dict({key: value})
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ConfigError(
                f'--cfg-options {key}={value!r} does not fit the config: '
                f'{error.args[0] if error.args else error}'
            ) from error


def load_config(args: argparse.Namespace, needed: Sequence[str]) -> Config:
    """Read ``args.config`` and apply the options of :func:`add_common_arguments`.

    ``work_dir`` is the option's, else the config's, else ``work_dirs/`` and the
    config's name.

    Args:
        args (Namespace): Parsed options; ``launcher`` is filled in.
        needed (Sequence[str]): As for :func:`read_config`.
    """
    args.launcher = args.launcher or detect_launcher()
    cfg = read_config(args.config, args.cfg_options, needed)
    cfg.launcher = args.launcher
    stem = osp.splitext(osp.basename(args.config))[0]
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or osp.join('work_dirs', stem)
    return cfg


def check_run(cfg: Config, dataloaders: Sequence[str]) -> None:
    """Find what would stop a run, before anything is built.

    Args:
        cfg (Config): Full config; loader options that torch would refuse are changed.
        dataloaders (Sequence[str]): Those the tool uses.

    Raises:
        ConfigError: A type or an option is unknown, or the work dir cannot be written.
        DataError: An annotation file is not there.
    """
    _check(cfg)
    if 'train_dataloader' in dataloaders:
        warn_of_compile(cfg)
    check_annotation_files(cfg, dataloaders)
    use_loader_options_that_work(cfg, dataloaders)
    check_output_folder(cfg.work_dir, '--work-dir')


def build_runner(cfg: Config, runner_class: type[Runner]) -> Runner:
    """Build the Runner of a config, after :func:`set_up_distributed`.

    Args:
        cfg (Config): Full config, as checked by :func:`check_run`.
        runner_class (type[Runner]): Used unless ``cfg.runner_type`` names another.

    Raises:
        ConfigError: A class does not take an option that it was given.
    """
    set_up_distributed(cfg)
    # A config of another library may name no class of mmlgd that sees to it.
    read_weights_only()
    try:
        if 'runner_type' in cfg:
            return RUNNERS.build(cfg)
        return runner_class.from_cfg(cfg)
    except TypeError as error:
        # What the check of signatures cannot see: options handed on to functions.
        if 'unexpected keyword argument' not in str(error):
            raise
        raise ConfigError(
            f'The config has an option that is not one: {error}'
        ) from error


def run_tool(main: Callable[[], None]) -> None:
    """Run a tool; end on a wrong input with its message and exit code 2.
>>>>>>> breaker

    ``MMLGD_DEBUG=1`` shows the traceback instead. Other errors keep theirs, since
    they are faults of the program.
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
    # A tool that has not imported torch has no process group, and need not wait for it.
    distributed = sys.modules.get('torch.distributed')
    if distributed and distributed.is_available() and distributed.is_initialized():
        _leave_group(code)
    if code:
        sys.exit(code)


def _leave_group(code: int) -> None:
    """End this rank, once all have ended: a launcher kills those still at work.

    Over gloo, some of torch's threads outlive the interpreter and now and then abort
    a finished process (seen with torch 2.11 under autocast: 3 of 8 runs), for which
    torchrun then calls the whole run failed. So there the process ends at once.
    """
    from torch import distributed

    is_gloo = distributed.get_backend() == 'gloo'
    distributed.barrier()
    distributed.destroy_process_group()
    if is_gloo:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

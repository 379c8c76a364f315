"""The checked config of a tool, and its Runner."""

import argparse
import os.path as osp
from collections.abc import Iterable, Sequence

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmlgd.errors import ConfigError

from .annotation_files import check_annotation_files
from .atomic import check_output_folder
from .config_check import check_config
from .config_fields import (
    check_option_fields,
    check_sync_bn,
    warn_about_compile,
    warn_about_misspelt_fields,
)
from .launch import detect_launcher, set_up_distributed
from .loaders import keep_image_lists, remove_unused_worker_options
from .mmengine_private import read_weights_only
from .quiet import capture_prints


def read_config(
    path: str, options: dict, needed: Sequence[str], optional: Sequence[str] = ()
) -> Config:
    """Read a config and merge the options of ``--cfg-options`` into it.

    Args:
        path (str): Config file.
        options (dict): Dotted key to value.
        needed (Sequence[str]): Top-level fields that the tool needs.
        optional (Sequence[str]): Further fields that the tool reads and a Runner
            does not. Defaults to none.

    Raises:
        ConfigError: The config or a field is missing, an option would have no effect,
            or a type or an option of a class is unknown.
    """
    try:
        cfg = Config.fromfile(path)
    except OSError as error:
        raise ConfigError(f'Config {path!r} cannot be read: {error}') from error
    merge_options(cfg, options, {*needed, *optional})
    absent = [name for name in needed if cfg.get(name) is None]
    if absent:
        raise ConfigError(
            f'Config {path!r} has no {", ".join(absent)}, which this tool needs; add '
            'it, or inherit from a file of configs/_base_/ that has it.'
        )
    warn_about_misspelt_fields(cfg)
    # The tools set this scope if a config has none.
    _check(cfg, {*needed, *optional}, 'mmlgd')
    return cfg


def _check(cfg: Config, *args) -> None:
    with capture_prints():  # of libraries, when they are imported
        check_config(cfg, *args)


def merge_options(cfg: Config, options: dict, read: Iterable[str]) -> None:
    """Merge options of the command line into a config.

    Args:
        cfg (Config): Changed in place.
        options (dict): Dotted key to value.
        read (Iterable[str]): Fields that the tool reads in addition to the Runner's.

    Raises:
        ConfigError: An option would have no effect, or does not match the config.
    """
    check_option_fields(cfg, options, read)
    # One at a time, so that the error message can contain the option.
    for key, value in options.items():
        try:
            cfg.merge_from_dict({key: value})
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ConfigError(
                f'--cfg-options {key}={value!r} does not match the config: '
                f'{error.args[0] if error.args else error}'
            ) from error


def load_config(args: argparse.Namespace, needed: Sequence[str]) -> Config:
    """Read ``args.config`` and apply the options of ``tool.add_common_arguments``.

    ``work_dir`` comes from the option, otherwise from the config, otherwise it is
    ``work_dirs/`` and the name of the config.

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
    """Check a run before anything is built.

    Args:
        cfg (Config): Full config; loader options that torch would reject are removed.
        dataloaders (Sequence[str]): Keys of the loaders that the tool uses.

    Raises:
        ConfigError: A type or an option is unknown, options contradict each other, or
            the work dir cannot be written.
        DataError: An annotation file is missing, broken or without annotations.
    """
    _check(cfg)
    if 'train_dataloader' in dataloaders:
        warn_about_compile(cfg)
        check_sync_bn(cfg)
    check_annotation_files(cfg, dataloaders)
    remove_unused_worker_options(cfg, dataloaders)
    keep_image_lists(cfg, dataloaders)
    check_output_folder(cfg.work_dir, '--work-dir')


def build_runner(cfg: Config, runner_class: type[Runner]) -> Runner:
    """Build the Runner of a config, after :func:`set_up_distributed`.

    Args:
        cfg (Config): Full config, as checked by :func:`check_run`.
        runner_class (type[Runner]): Used unless the config sets ``runner_type``.

    Raises:
        ConfigError: A class does not accept an option.
    """
    set_up_distributed(cfg)
    # Configs of other libraries may not import a module of mmlgd that calls it.
    read_weights_only()
    try:
        if 'runner_type' in cfg:
            return RUNNERS.build(cfg)
        return runner_class.from_cfg(cfg)
    except TypeError as error:
        # The check of signatures does not cover options passed on to functions.
        if 'unexpected keyword argument' not in str(error):
            raise
        raise ConfigError(f'The config has an unknown option: {error}') from error

#!/usr/bin/env python
"""Train any config: distillation, classification, detection or segmentation."""

import argparse
import os.path as osp
import sys
from importlib.util import find_spec

if find_spec('mmlgd') is None:  # not installed: run from the repository
    sys.path.insert(0, osp.dirname(osp.dirname(osp.abspath(__file__))))

import mmlgd  # noqa: F401, I001  (first: it makes `mmseg::` bases resolve)
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import find_latest_checkpoint

from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.utils.launch import read_ranks
from mmlgd.utils.tool import add_common_arguments, build_runner, load_config, run_tool

_NEEDED = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from this checkpoint; without a value, or with `auto`, from the '
        'last one in the work dir, if there is one',
    )
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision (see README)'
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='do not evaluate while training'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by total batch size / base_batch_size',
    )
    parser.add_argument(
        '--global-batch-size',
        type=int,
        metavar='N',
        help='images an iteration over all ranks; each gets N / ranks',
    )
    add_common_arguments(parser)
    return parser.parse_args(argv)


def use_amp(cfg: Config) -> None:
    """Give the optimizer wrapper mixed precision, on whatever device there is.

    Raises:
        ConfigError: The wrapper is of a kind that has no mixed-precision variant.
    """
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', 'AmpOptimWrapper', 'mmlgd.AmpOptimWrapper'):
        raise ConfigError(
            f'--amp replaces an OptimWrapper, but optim_wrapper.type is {kind!r}; '
            'leave --amp away and ask that class for mixed precision.'
        )
    cfg.optim_wrapper.type = 'mmlgd.AmpOptimWrapper'


def split_global_batch(cfg: Config, total: int, world_size: int) -> None:
    """Set each rank's batch size to an equal part of ``total``.

    Raises:
        ConfigError: ``total`` is not a positive multiple of ``world_size``.
    """
    if total < 1 or total % world_size:
        below = max(total, 0) // world_size * world_size
        sizes = [str(size) for size in (below, below + world_size) if size > 0]
        raise ConfigError(
            f'--global-batch-size {total} cannot be split evenly over {world_size} '
            f'rank(s); nearest sizes that can: {" and ".join(sizes)}.'
        )
    cfg.train_dataloader.batch_size = total // world_size


def use_auto_scale_lr(cfg: Config) -> None:
    """Let the Runner scale the learning rate to the total batch size.

    Raises:
        ConfigError: The config does not say which batch size its rate is for.
    """
    if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        raise ConfigError(
            '--auto-scale-lr needs to know the batch size that the learning rate of '
            'the config is meant for: set auto_scale_lr=dict(base_batch_size=...).'
        )
    cfg.auto_scale_lr.enable = True


def set_resume(cfg: Config, resume: str) -> None:
    """Make the Runner go on from a checkpoint.

    Args:
        cfg (Config): Config with ``work_dir``; changed in place.
        resume (str): A file, an address, or ``auto``.

    Raises:
        CheckpointError: The checkpoint named, on the command line or in
            ``last_checkpoint``, does not exist.
    """
    path, source = resume, '--resume'
    if resume == 'auto':
        path = find_latest_checkpoint(cfg.work_dir)
        source = osp.join(cfg.work_dir, 'last_checkpoint')
        if path is None:
            print_log(f'--resume auto: no checkpoint in {cfg.work_dir}; a fresh start.')
            cfg.resume = False
            return
        moved = osp.join(cfg.work_dir, osp.basename(path))
        # The file holds a path of the day it was written; the folder may have moved.
        path = moved if not osp.isfile(path) and osp.isfile(moved) else path
    if '://' not in path and not osp.isfile(path):
        raise CheckpointError(
            f'{source} names the checkpoint {path!r}, which is not there; give another '
            'path, or leave --resume away to start afresh.'
        )
    cfg.resume, cfg.load_from = True, path


def apply_options(cfg: Config, args: argparse.Namespace) -> None:
    """Change the config as the command line says."""
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        use_amp(cfg)
    if args.global_batch_size is not None:
        world_size = read_ranks(args.launcher).world_size
        split_global_batch(cfg, args.global_batch_size, world_size)
    if args.auto_scale_lr:
        use_auto_scale_lr(cfg)
    if args.resume is not None:
        set_resume(cfg, args.resume)


def main(argv: list[str] | None = None) -> None:
    """Train from the command line."""
    args = parse_args(argv)
    cfg = load_config(args, _NEEDED)
    apply_options(cfg, args)
    build_runner(cfg, ['train_dataloader', 'val_dataloader']).train()


if __name__ == '__main__':
    run_tool(main)

"""What a training finds in its work dir, and the checkpoint that it resumes from."""

import os.path as osp
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import find_latest_checkpoint

from mmlgd.errors import CheckpointError, ConfigError

from .checkpoint import read_checkpoint

#: What a checkpoint needs so that a training can be resumed from it.
_TRAINING_STATE = ('optimizer', 'message_hub')


def set_resume(cfg: Config, resume: str) -> None:
    """Make the Runner resume from a checkpoint.

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
            print_log(f'--resume auto: no checkpoint in {cfg.work_dir}; a new run.')
            cfg.resume = False
            return
        moved = osp.join(cfg.work_dir, osp.basename(path))
        # The file holds a path of the day it was written; the folder may have moved.
        path = moved if not osp.isfile(path) and osp.isfile(moved) else path
    if '://' not in path and not osp.isfile(path):
        raise CheckpointError(
            f'{source} names the checkpoint {path!r}, which is not there; give another '
            'path, or omit --resume to start a new run.'
        )
    cfg.resume, cfg.load_from = True, path


def is_finished(cfg: Config) -> bool:
    """Whether the run that is to be resumed has done all its epochs or iterations.

    Args:
        cfg (Config): Config with ``resume`` and ``load_from``.

    Raises:
        CheckpointError: The file is not a checkpoint of a training.
    """
    checkpoint = read_checkpoint(cfg.load_from)
    meta = checkpoint['meta']
    missing = [key for key in _TRAINING_STATE if key not in checkpoint]
    missing += [f'meta.{key}' for key in ('epoch', 'iter') if key not in meta]
    if missing:
        raise CheckpointError(
            f'--resume: {cfg.load_from} has no {", ".join(missing)}, so it is not a '
            'checkpoint of a training, such as epoch_10.pth. To start a new run from '
            f'its weights: --cfg-options load_from={cfg.load_from}'
        )
    if 'config' in meta:
        # mmengine would execute it.
        raise CheckpointError(
            f'--resume: {cfg.load_from} holds a config as Python code (meta.config), '
            'which is not executed; it was not written by mmengine.'
        )
    for unit in ('epoch', 'iter'):
        end = cfg.train_cfg.get(f'max_{unit}s')
        if end is not None and meta[unit] >= end:
            print_log(
                f'{cfg.load_from} has already finished: it was written at {unit} '
                f'{meta[unit]}, and train_cfg.max_{unit}s is {end}. To train longer: '
                f'--cfg-options train_cfg.max_{unit}s=...'
            )
            return True
    return False


def check_work_dir(cfg: Config, overwrite: bool) -> None:
    """Refuse to mix a new run with the checkpoints of an earlier one.

    Every rank looks before the group starts, and none writes before that.

    Args:
        cfg (Config): Config with ``work_dir``.
        overwrite (bool): Whether to start there all the same.

    Raises:
        ConfigError: The folder holds checkpoints.
    """
    folder = Path(cfg.work_dir)
    marker = folder / 'last_checkpoint'
    found = sorted(
        path.name for path in (*folder.glob('*.pth'), *folder.glob(marker.name))
    )
    if not found:
        return
    if not overwrite:
        raise ConfigError(
            f'The work dir {folder} holds checkpoints of an earlier run '
            f'({", ".join(found[:3])}{", ..." if found[3:] else ""}). Resume it with '
            '--resume [FILE], name another folder with --work-dir, or replace it with '
            '--overwrite.'
        )
    # Otherwise a later --resume could resume the earlier run.
    marker.unlink(missing_ok=True)

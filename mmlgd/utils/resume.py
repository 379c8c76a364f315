"""Checks of the work dir, and of the checkpoint to resume from."""

import os.path as osp
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import find_latest_checkpoint

from mmlgd.errors import CheckpointError, ConfigError

from .checkpoint import read_checkpoint

#: Keys of a checkpoint that are required to resume a training.
_TRAINING_STATE = ('optimizer', 'message_hub')


def set_resume(cfg: Config, resume: str) -> None:
    """Make the Runner resume from a checkpoint.

    Args:
        cfg (Config): Config with ``work_dir``; changed in place.
        resume (str): A file, a URL, or ``auto``.

    Raises:
        CheckpointError: The checkpoint on the command line or in ``last_checkpoint``
            does not exist.
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
        # The folder may have moved since the path was written.
        path = moved if not osp.isfile(path) and osp.isfile(moved) else path
    if '://' not in path and not osp.isfile(path):
        raise CheckpointError(
            f'{source} refers to the checkpoint {path!r}, which does not exist; set '
            'another path, or omit --resume to start a new run.'
        )
    cfg.resume, cfg.load_from = True, path


def read_training_meta(cfg: Config) -> dict:
    """Read the ``meta`` of the checkpoint to be resumed.

    Args:
        cfg (Config): Config with ``load_from``.

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
            f'--resume: {cfg.load_from} contains a config as Python code (meta.config), '
            'which is not executed; it was not written by mmengine.'
        )
    return meta


def is_finished(cfg: Config, meta: dict) -> bool:
    """Whether the run to be resumed has completed all its epochs or iterations.

    Args:
        cfg (Config): Config with ``load_from``.
        meta (dict): Of that checkpoint.
    """
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


def check_work_dir(cfg: Config, overwrite: bool, option: str = '--work-dir') -> None:
    """Refuse to start a new run in the folder of an earlier one.

    Every rank checks this before the group starts, and no rank writes before that.

    Args:
        cfg (Config): Config with ``work_dir``.
        overwrite (bool): Whether to start there nevertheless.
        option (str): The option that sets another folder, for the message. Defaults to
            '--work-dir'.

    Raises:
        ConfigError: The folder contains checkpoints.
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
            f'The work dir {folder} contains checkpoints of an earlier run '
            f'({", ".join(found[:3])}{", ..." if found[3:] else ""}). Resume it with '
            f'--resume [FILE], set another folder with {option}, or replace it with '
            '--overwrite.'
        )
    # Otherwise a later --resume could resume the earlier run.
    marker.unlink(missing_ok=True)

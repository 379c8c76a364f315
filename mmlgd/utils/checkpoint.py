"""Reading checkpoints, with errors that say what was found."""

import os
from pathlib import Path

import torch
from mmengine.runner.checkpoint import _load_checkpoint
from torch import nn

from mmlgd.errors import CheckpointError

#: Keys of ``meta`` that tell where a backbone comes from and how images are normalised.
ORIGIN_KEYS = (
    'mmlgd_version',
    'teacher',
    'category_names',
    'image_mean',
    'image_std',
    'image_size',
    'to_rgb',
)


def read_checkpoint(path: str | Path) -> dict:
    """Read a training checkpoint or an exported backbone.

    Args:
        path (str | Path): A local file, or what else mmengine loads.

    Returns:
        dict: With ``state_dict`` and ``meta``.

    Raises:
        CheckpointError: The file is absent, truncated or no checkpoint.
    """
    path = os.fspath(path)
    if '://' not in path and not os.path.isfile(path):
        raise CheckpointError(f'There is no checkpoint {path}; check the path.')
    try:
        checkpoint = _load_safely(path)
    except Exception as error:
        raise CheckpointError(
            f'{path} cannot be read as a checkpoint ({type(error).__name__}: {error}); it '
            'may be truncated, a web page saved under this name, or hold objects that are '
            'more than weights. Fetch or write it anew.'
        ) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f'{path} holds a {type(checkpoint).__name__}, no checkpoint.'
        )
    if 'state_dict' not in checkpoint:
        checkpoint = dict(state_dict=checkpoint)
    checkpoint.setdefault('meta', {})
    return checkpoint


def _load_safely(path: str) -> dict:
    """Load weights-only where mmengine tells what its checkpoints may hold.

    mmengine's own loader falls back to unpickling anything.
    """
    try:
        from mmengine.runner.checkpoint import get_torch_safe_globals
    except ImportError:  # OpenMMLab's own 0.10 has no such list.
        return _load_checkpoint(path, map_location='cpu')
    if '://' in path or not hasattr(torch.serialization, 'safe_globals'):
        return _load_checkpoint(path, map_location='cpu')
    with torch.serialization.safe_globals(get_torch_safe_globals()):
        return torch.load(path, map_location='cpu', weights_only=True)


def load_exactly(module: nn.Module, state: dict, prefix: str, path: str | Path) -> None:
    """Load the keys below a prefix into a module, every one of them.

    Args:
        module (nn.Module): Receives the weights.
        state (dict): A checkpoint's ``state_dict``.
        prefix (str): E.g. ``backbone.``.
        path (str | Path): Where the state came from, for the message.

    Raises:
        CheckpointError: No key has the prefix, or keys or shapes differ.
    """
    part = {
        key[len(prefix) :]: value
        for key, value in state.items()
        if key.startswith(prefix)
    }
    if not part:
        found = sorted({key.split('.')[0] + '.' for key in state})
        raise CheckpointError(
            f'{path} holds no key under `{prefix}`, only under {", ".join(found[:8])}; use a '
            'checkpoint of mmlgd, or convert this one.'
        )
    try:
        module.load_state_dict(part, strict=True)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise CheckpointError(
            f'The weights of {path} under `{prefix}` do not fit a {type(module).__name__}: '
            f'{" ".join(line.strip() for line in lines[1:4])[:600]}. Build the architecture '
            'they were trained with.'
        ) from error

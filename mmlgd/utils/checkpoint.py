"""Reading and loading of checkpoints, with descriptive errors."""

import os
from pathlib import Path

import torch
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from mmlgd.errors import CheckpointError, MMLGDError

from .mmengine_private import load_from_local, read_weights_only
from .model import unwrap_model

# All readers of checkpoints in this process, including the Runner, import this module.
read_weights_only()

#: Keys of ``meta`` with the origin of a backbone and the normalisation of images.
ORIGIN_KEYS = (
    'mmlgd_version',
    'teacher',
    'category_names',
    'image_mean',
    'image_std',
    'image_size',
    'student_size',
    'to_rgb',
)
# Entries that models fill in themselves if an older file has none.
_OPTIONAL_KEYS = ('num_batches_tracked', 'encoded_templates')

# Small tensors may repeat their memory, such as expanded buffers.
_MAX_REPEATED = 2**20


def read_checkpoint(path: str | Path) -> dict:
    """Read a training checkpoint or an exported backbone without executing code.

    Args:
        path (str | Path): A local file (also ``.safetensors``), or another location
            that mmengine loads, such as a URL.

    Returns:
        dict: With ``state_dict``, whose half-precision tensors are converted to
        float32, and ``meta``.

    Raises:
        CheckpointError: The file is missing, truncated, not a checkpoint, or contains
            more than weights and plain data.
    """
    path = os.fspath(path)
    checkpoint = _read(path)
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f'{path} contains a {type(checkpoint).__name__}, not a checkpoint.'
        )
    if 'state_dict' not in checkpoint:
        checkpoint = dict(state_dict=checkpoint)
    state, meta = checkpoint['state_dict'], checkpoint.get('meta') or {}
    for name, value in (('state_dict', state), ('meta', meta)):
        if not isinstance(value, dict) or not all(
            isinstance(key, str) for key in value
        ):
            raise CheckpointError(
                f'{path} is not a checkpoint: its {name} is not a dict with strings as '
                'keys.'
            )
    for key, value in state.items():
        if isinstance(value, torch.Tensor) and not _is_plain(value):
            raise CheckpointError(
                f'{path} cannot be used: `{key}` is a {value.layout} tensor on '
                f'{value.device}, not a plain one; save it with .to_dense().cpu().'
            )
        if isinstance(value, torch.Tensor) and _repeats_memory(value):
            raise CheckpointError(
                f'{path} cannot be used: `{key}` has {value.numel():,} values, more than '
                'the file contains; save it with .clone().'
            )
    return dict(checkpoint, state_dict=_to_float32(state, path), meta=meta)


def _read(path: str) -> object:
    if '://' not in path:
        return load_from_local(path, 'cpu')
    try:
        return CheckpointLoader.load_checkpoint(path, map_location='cpu')
    except MMLGDError:
        raise
    except Exception as error:  # an unknown scheme, a name missing in a model zoo, ...
        raise CheckpointError(f'{path} cannot be read ({error}); check it.') from error


def _is_plain(tensor: torch.Tensor) -> bool:
    return tensor.layout is torch.strided and tensor.device.type == 'cpu'


def _repeats_memory(tensor: torch.Tensor) -> bool:
    """Whether a stride of 0 makes a huge tensor of a small file."""
    stored = tensor.untyped_storage().nbytes() // tensor.element_size()
    return tensor.numel() > max(stored, _MAX_REPEATED)


def _to_float32(state: dict, path: str) -> dict:
    halves = (torch.float16, torch.bfloat16)
    found = [
        key
        for key, value in state.items()
        if isinstance(value, torch.Tensor) and value.dtype in halves
    ]
    if not found:
        return state
    print_log(
        f'{len(found)} tensors of {path} are in half precision; converted to float32.',
        'current',
    )
    return {**state, **{key: state[key].float() for key in found}}


def load_exactly(
    module: nn.Module,
    state: dict,
    prefix: str,
    path: str | Path,
    may_end_early: bool = False,
) -> None:
    """Load the keys under a prefix into a module; all of them must match.

    Args:
        module (nn.Module): Receives the weights.
        state (dict): A checkpoint's ``state_dict``.
        prefix (str): For example ``backbone.``.
        path (str | Path): Source of the state, for the message.
        may_end_early (bool): Whether the module may lack the last layers, such as a timm
            network that returns only earlier maps. Defaults to False.

    Raises:
        CheckpointError: No key has the prefix, keys or shapes differ, or a weight is
            not finite.
    """
    part = {
        key[len(prefix) :]: value
        for key, value in state.items()
        if key.startswith(prefix)
    }
    if not part:
        found = sorted({key.split('.')[0] + '.' for key in state})
        raise CheckpointError(
            f'{path} has no key under `{prefix}`, only under {", ".join(found[:8])}; use a '
            'checkpoint of mmlgd, or convert this one.'
        )
    check_finite(part, path, prefix)
    if may_end_early:
        own, keys = module.state_dict(), list(part)
        last = max((i for i, key in enumerate(keys) if key in own), default=-1)
        part = {key: part[key] for key in keys[: last + 1]}
    try:
        module.load_state_dict(part, strict=True)
    except Exception as error:  # RuntimeError, or any error of a backbone's own hook
        lines = str(error).splitlines()
        shown = lines[1:4] if len(lines) > 1 else lines
        raise CheckpointError(
            f'The weights of {path} under `{prefix}` do not match a {type(module).__name__}: '
            f'{" ".join(line.strip() for line in shown)[:600]}. Build the architecture '
            'they were trained with.'
        ) from error


def check_finite(state: dict, path: str | Path, prefix: str = '') -> None:
    """Check that weights are neither NaN nor infinite.

    Args:
        state (dict): Tensors by key; other values are skipped.
        path (str | Path): Source of the weights, for the message.
        prefix (str): Prefix that was removed from the keys, for the message. Defaults
            to ''.

    Raises:
        CheckpointError: They are not; the message gives the first such tensor.
    """
    for key, value in state.items():
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            continue
        number = int((~torch.isfinite(value)).sum())
        if number:
            raise CheckpointError(
                f'{number} of the {value.numel()} values of `{prefix}{key}` in {path} are '
                'NaN or infinite: the file was saved after its training diverged, or is '
                'damaged; use an earlier checkpoint.'
            )


def check_complete(model: nn.Module, checkpoint: dict, path: str | Path) -> None:
    """Check that a checkpoint contains all weights of a model.

    The state is loaded for this, as the Runner does afterwards: a model's own hooks may
    convert older keys and other sizes.

    Args:
        model (nn.Module): The model to be evaluated or resumed; wrappers are removed.
        checkpoint (dict): A checkpoint with ``state_dict``, or a state dict.
        path (str | Path): Source of the checkpoint, for the message.

    Raises:
        CheckpointError: Keys are missing or tensors have other shapes. The message gives
            the first of them.
    """
    model = unwrap_model(model)
    if isinstance(model, BaseTTAModel):
        model = model.module
    stored = checkpoint.get('state_dict', checkpoint)
    state = {key.removeprefix('module.'): value for key, value in stored.items()}
    wanted = [key for key in model.state_dict() if not key.endswith(_OPTIONAL_KEYS)]
    try:
        # A copy: some hooks change the keys in place.
        found = model.load_state_dict(dict(state), strict=False)
    except MMLGDError:  # of a bank, with a specific message
        raise
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:4]]
        raise CheckpointError(
            f'{path} does not match this {type(model).__name__}: '
            f'{" ".join(lines)[:600] or error}. Weights that do not match would stay '
            'randomly initialised. Use the config it was saved from.'
        ) from error
    missing = [key for key in wanted if key in {*found.missing_keys}]
    if not missing:
        return
    first = ', '.join(missing[:3]) + (', ...' if len(missing) > 3 else '')
    is_backbone = state and all(key.startswith('backbone.') for key in state)
    hint = (
        'It is an exported backbone, without projector, head and banks: use the '
        'training checkpoint (epoch_*.pth or iter_*.pth).'
        if is_backbone
        else 'Use a checkpoint of this model, or the config it was saved from.'
    )
    raise CheckpointError(
        f'{path} has {len(wanted) - len(missing)} of the {len(wanted)} tensors of '
        f'{type(model).__name__}; missing: {first}. Missing weights would stay randomly '
        f'initialised. {hint}'
    )

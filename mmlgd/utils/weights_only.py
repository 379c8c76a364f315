"""Reading of weight files without executing code from them."""

import io
import re
import tarfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from mmlgd.errors import CheckpointError, DependencyError


class _StoredHistory:
    """Replaces mmengine's ``HistoryBuffer`` while a file is read."""

    def __setstate__(self, state: dict) -> None:
        self.state = dict(state)


def _empty_array(cls: type, *_: object) -> np.ndarray:
    if cls is not np.ndarray:
        raise UnpicklingError(f'an array of the type {cls}')
    return np.empty(0)


def _name_only(_: object, name: str) -> str:
    return str(name)


def _scalar(dtype: np.dtype, data: bytes) -> np.generic:
    return np.frombuffer(data, dtype, count=1)[0]


def _function_as(module: str, name: str, function: Callable) -> object:
    """A function with the name that torch's unpickler looks up."""

    def call(*args: object) -> object:
        return function(*args)

    call.__module__, call.__name__, call.__qualname__ = module, name, name
    return call


def _class_as(module: str, name: str, cls: type) -> type:
    cls.__module__, cls.__name__, cls.__qualname__ = module, name, name
    return cls


# In addition to tensors and plain data, mmengine's training checkpoints contain histories
# of logged scalars, which are arrays. mmengine's own list (get_torch_safe_globals) is not
# used: it contains `getattr`, through which a crafted file reaches `exec` under
# weights_only=True (tested with mmengine 0.10.12 and torch 2.11).
_NUMBERS = ('?', 'i1', 'u1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8', 'f2', 'f4', 'f8')
_ALLOWED = [
    _class_as('mmengine.logging.history_buffer', 'HistoryBuffer', _StoredHistory),
    _function_as('builtins', 'getattr', _name_only),
    np.ndarray,
    np.dtype,
    *{type(np.dtype(each)) for each in _NUMBERS},
    *(
        _function_as(f'numpy.{core}.multiarray', name, function)
        for core in ('core', '_core')
        for name, function in (('_reconstruct', _empty_array), ('scalar', _scalar))
    ),
]


def load_weights_only(
    file: str | Path | io.BytesIO, map_location: object = 'cpu', name: str = ''
) -> object:
    """Read tensors and plain data from a file, and nothing else.

    Args:
        file (str | Path | BytesIO): A file written by ``torch.save``, or a path with the
            suffix ``.safetensors``.
        map_location (object): As for ``torch.load``. Defaults to 'cpu'.
        name (str): Name for messages. Defaults to '': the path.

    Returns:
        object: The contents; mmengine's histories of logged scalars are restored.

    Raises:
        CheckpointError: The file cannot be read, or contains objects of other classes.
        DependencyError: A ``.safetensors`` file without that library.
    """
    name = name or str(file)
    if name.endswith('.safetensors'):
        return _load_safetensors(file, name, map_location)
    try:
        # torch reads this format of 2017 with other code, which executed its content
        # before torch 2.6.
        if tarfile.is_tarfile(file):
            raise UnpicklingError('a tar archive')
        with _allowing():
            contents = torch.load(file, map_location=map_location, weights_only=True)
        return _restore_histories(contents)
    except Exception as error:  # The unpickler raises anything on broken bytes.
        raise CheckpointError(
            f'{name} cannot be read as a checkpoint ({why_unreadable(error)}); '
            'it may be truncated, a web page saved under this name, or contain objects '
            'other than weights, which are never unpickled. Download or write it again; '
            'if you trust the source, save only its state_dict.'
        ) from error


def why_unreadable(error: Exception) -> str:
    """The reason of an error of ``torch.load``, without its advice to trust the file."""
    text = str(error).strip()
    found = re.search(r'GLOBAL (\S+)|instantiate (\S+)', text)
    if found:
        return f'it contains {found[1] or found[2]}, which is not plain data'
    text = text.rpartition('WeightsUnpickler error:')[2].strip() or 'no message'
    return f'{type(error).__name__}: {text.splitlines()[0][:300]}'


def _allowing() -> AbstractContextManager:
    serialization = torch.serialization
    if hasattr(serialization, 'safe_globals'):
        return serialization.safe_globals(_ALLOWED)
    # torch 2.4 can only add classes; older releases read only weights and plain data,
    # which is all that checkpoints of CheckpointMetaHook contain.
    getattr(serialization, 'add_safe_globals', lambda allowed: None)(_ALLOWED)
    return nullcontext()


def _load_safetensors(file: object, name: str, map_location: object) -> dict:
    try:
        from safetensors.torch import load, load_file
    except ImportError as error:
        raise DependencyError(
            f'{name} needs safetensors: pip install safetensors.'
        ) from error
    try:
        if isinstance(file, io.BytesIO):
            return load(file.getvalue())
        return load_file(str(file), device=str(map_location or 'cpu'))
    except Exception as error:
        raise CheckpointError(
            f'{name} cannot be read as safetensors ({error}); it may be truncated. '
            'Download or write it again.'
        ) from error


def plain_message_hub(message_hub: dict) -> dict:
    """Convert a message hub's state to tensors and Python numbers.

    A weights-only reader accepts such a state without additional classes.

    Args:
        message_hub (dict): Result of ``MessageHub.state_dict``.

    Returns:
        dict: A converted copy; :func:`load_weights_only` reverts the conversion.
    """
    scalars = {
        key: dict(
            log_history=torch.tensor(value.data[0]),
            count_history=torch.tensor(value.data[1]),
            max_length=value.max_length,
        )
        for key, value in message_hub['log_scalars'].items()
        if isinstance(value, HistoryBuffer)
    }
    info = {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in message_hub['runtime_info'].items()
    }
    return dict(message_hub, log_scalars=scalars, runtime_info=info)


def _restore_histories(contents: object) -> object:
    hub = contents.get('message_hub') if isinstance(contents, dict) else None
    if isinstance(hub, dict) and isinstance(hub.get('log_scalars'), dict):
        hub['log_scalars'] = {
            key: _history(value) for key, value in hub['log_scalars'].items()
        }
    return contents


def _history(value: Any) -> HistoryBuffer:
    state = value.state if isinstance(value, _StoredHistory) else dict(value)
    logs, counts = (
        np.asarray(state.get(f'_{name}', state.get(name)))
        for name in ('log_history', 'count_history')
    )
    if (
        logs.ndim != 1
        or logs.shape != counts.shape
        or {'O'}
        & {
            logs.dtype.kind,
            counts.dtype.kind,
        }
    ):
        raise UnpicklingError('an invalid history of logged scalars')
    history = HistoryBuffer(max_length=int(state['max_length']))
    history._log_history, history._count_history = logs, counts
    return history

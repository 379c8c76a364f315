"""Uses of private names of mmengine; each says why there is no public alternative.

Tested with onedl-mmengine 0.10.12; mmengine 0.10.0 to 0.10.7 have the same names.
"""

import io
import os.path as osp
from typing import Any
from urllib.parse import unquote, urlparse

import torch
from mmengine.dist import is_main_process
from mmengine.fileio import get_file_backend
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import BaseLoop, Runner
from mmengine.runner import checkpoint as _checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from mmlgd.errors import CheckpointError
from mmlgd.utils.paths import expand_user

from .first_rank import meet
from .weights_only import load_weights_only


def read_weights_only() -> None:
    """Make mmengine read every checkpoint in this process weights-only.

    mmengine's readers unpickle any object: before torch 2.6 directly, since then as a
    fallback. ``resume``, ``load_from`` and ``init_cfg`` of all libraries use them.
    ``CheckpointLoader.register_scheme`` is public, but other readers of the module call
    the function for URLs (and its ``torch.load``) by name.
    """
    for prefixes, loader in (
        ('', load_from_local),
        (['http://', 'https://'], load_from_http),
        ([r'(\S+\:)?s3://', r'(\S+\:)?petrel://'], load_from_ceph),
    ):
        CheckpointLoader.register_scheme(prefixes, loader, force=True)
    _checkpoint.load_from_http = load_from_http
    if hasattr(_checkpoint, '_safe_torch_load'):  # of the onedl fork
        _checkpoint._safe_torch_load = _load


def _load(file: Any, map_location: object = None, weights_only: object = None):
    return load_weights_only(file, map_location)


# mmengine logs the part of the name after `load_from_`.
def load_from_local(filename: str, map_location: object = None) -> object:
    """Read a local file, see :func:`load_weights_only`.

    Raises:
        CheckpointError: The file is missing or cannot be read.
    """
    path = expand_user(filename, 'the checkpoint')
    if not osp.isfile(path):
        raise CheckpointError(f'There is no checkpoint {filename}; check the path.')
    return load_weights_only(path, map_location)


def load_from_http(
    filename: str,
    map_location: object = None,
    model_dir: str | None = None,
    progress: bool = True,
) -> object:
    """Download a file into torch's cache, once, and read it.

    Raises:
        CheckpointError: The file cannot be downloaded or read.
    """
    folder = model_dir or osp.join(torch.hub.get_dir(), 'checkpoints')
    path = osp.join(folder, osp.basename(unquote(urlparse(filename).path)))
    failed = None
    if is_main_process() and not osp.exists(path):
        try:
            _checkpoint.mkdir_or_exist(folder)
            torch.hub.download_url_to_file(filename, path, progress=progress)
        except Exception as error:  # URLError, HTTPError, OSError, ValueError
            failed = error
    meet(f'downloading {filename}')
    if not osp.isfile(path):
        raise CheckpointError(
            f'{filename} cannot be downloaded ({failed or "rank 0 failed"}); without '
            'network, download it elsewhere and set the local path.'
        ) from failed
    return load_weights_only(path, map_location)


def load_from_ceph(
    filename: str, map_location: object = None, backend: str = 'petrel'
) -> object:
    """Read a file of an object store, see :func:`load_weights_only`."""
    store = get_file_backend(filename, backend_args=dict(backend=backend))
    return load_weights_only(io.BytesIO(store.get(filename)), map_location, filename)


# The Runner's public properties build missing loops and do not expose these states.
def is_training(runner: Runner) -> bool:
    """Whether a Runner is about to train, not only to validate or test."""
    return isinstance(runner._train_loop, BaseLoop)


def is_resuming(runner: Runner) -> bool:
    """Whether a Runner resumes a checkpoint."""
    return bool(runner._resume)


def loaded_source(runner: Runner) -> str | None:
    """The ``load_from`` of a Runner, for messages; None if it searches for one itself."""
    return runner._load_from


def backward_part(wrapper: OptimWrapper, loss: torch.Tensor) -> None:
    """Add the gradients of a part of a batch, without a step.

    The wrapper's count of backward passes is its count of iterations, by which it decides
    when to step; it has no public setter that does not warn.

    Args:
        wrapper: The wrapper of the optimizer.
        loss: Already divided by the weight of the part.
    """
    wrapper.backward(wrapper.scale_loss(loss))
    wrapper._inner_count -= 1


def init_amp_without_accelerator(wrapper: AmpOptimWrapper, **kwargs) -> None:
    """Initialise an AmpOptimWrapper on the CPU, where its ``__init__`` fails.

    Its attributes are set here. ``_scale_update_param``, which ``step`` reads, has no
    public name. A disabled scaler passes losses and steps through unchanged.

    Args:
        wrapper: The wrapper; the caller sets its ``cast_dtype``.
        **kwargs: Arguments of :class:`mmengine.optim.OptimWrapper`.
    """
    OptimWrapper.__init__(wrapper, **kwargs)
    wrapper._scale_update_param = None
    wrapper.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)

"""Models by name, in the form of mmpretrain's functions of the same names."""

import fnmatch
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.registry import MODELS
from mmlgd.utils.suggest import suggest

from .catalogue import list_students, list_teachers
from .loading import load_backbone

_KINDS = dict(student=list_students, teacher=list_teachers)


def list_models(pattern: str | None = None, kind: str | None = None) -> list[str]:
    """Names for :func:`get_model`.

    Args:
        pattern (str, optional): Wildcards, such as ``'*vit*'``. Defaults to None: all.
        kind (str, optional): 'student' or 'teacher'. Defaults to None: both.

    Raises:
        ConfigError: The kind is another one.

    Example:
        >>> list_models('dfn*')
        ['dfn_vitb16', 'dfn_vitl14']
    """
    if kind is not None and kind not in _KINDS:
        raise ConfigError(f'kind is {kind!r}, but must be one of {", ".join(_KINDS)}.')
    kinds = [kind] if kind else list(_KINDS)
    names = sorted(name for each in kinds for name in _KINDS[each]())
    return fnmatch.filter(names, pattern or '*')


def get_model(
    model: str | Path, device: str | torch.device | None = None, **options: Any
) -> nn.Module:
    """Build a model.

    Args:
        model (str | Path): A checkpoint, whose backbone is loaded; a student of
            :func:`list_models`, whose backbone is built with random weights; or a
            teacher, whose weights are downloaded if necessary.
        device (str | torch.device, optional): Defaults to None: the CPU.
        **options: Options that replace those of its config, such as ``out_indices``.

    Returns:
        nn.Module: In eval mode.

    Raises:
        ConfigError: The model is unknown, or does not accept an option.
        CheckpointError: The checkpoint cannot be used.
        TeacherError: The weights of the teacher are not available.

    Example:
        >>> backbone = get_model('work_dirs/demo/backbone.pth', out_indices=(1, 3, 8, 11))
        >>> teacher = get_model('clip_rn50', device='cuda')
    """
    if os.path.isfile(model) or '://' in str(model):
        built = load_backbone(model, **options)
    else:
        built = _build(str(model), options)
    built.eval()
    return built.to(device) if device else built


def _build(name: str, options: dict) -> nn.Module:
    students, teachers = list_students(), list_teachers()
    if name in students:
        config = students[name]['student']['backbone']
    elif name in teachers:
        config = teachers[name]['teacher']
    else:
        raise ConfigError(
            f'There is no model {name!r}.{suggest(name, [*students, *teachers], 3)} '
            '`mmlgd list` lists all names; a checkpoint is given by its path.'
        )
    init_default_scope('mmlgd')
    try:
        return MODELS.build({**config, **options})
    except TypeError as error:
        raise ConfigError(f'{name} does not accept an option: {error}') from error

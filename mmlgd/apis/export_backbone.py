"""A distilled backbone under the names of another library."""

from pathlib import Path

import torch
from mmengine.config import ConfigDict

from mmlgd.utils.atomic import replace_file
from mmlgd.utils.checkpoint import ORIGIN_KEYS, read_checkpoint
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.key_maps import Target, find_target

from .load_backbone import load_backbone, stored_backbone


def export_backbone(
    checkpoint: str | Path,
    library: str,
    out: str | Path,
    backbone: dict | None = None,
) -> Target:
    """Write a backbone with the key names of another library's own model.

    That model gives the same features for the same input. The file holds
    ``state_dict`` and ``meta``; the latter carries the normalisation, the original
    config as ``backbone``, and what to build as ``target``.

    Args:
        checkpoint (str | Path): A training checkpoint, or ``backbone.pth``.
        library (str): 'mmpretrain', 'mmdet', 'mmseg', 'torchvision' or 'timm'.
        out (str | Path): File to write.
        backbone (dict, optional): Config of the backbone. Defaults to None: the one
            that the checkpoint tells.

    Returns:
        Target: The model to build, and its arguments.

    Raises:
        ConfigError: The library has no such model, or none with equal features.
        CheckpointError: The file cannot be read, tells no backbone, or its weights
            do not fit.
    """
    meta = read_checkpoint(checkpoint)['meta']
    backbone = backbone or stored_backbone(CheckpointMeta.from_meta(meta, checkpoint))
    backbone = ConfigDict(backbone).to_dict()
    target = find_target(backbone, library)
    # Building it proves that the weights are those of this architecture.
    state = load_backbone(checkpoint, backbone).state_dict()
    names = target.rename(state)
    told = dict(library=target.library, model=target.model, arguments=target.arguments)
    kept = {key: meta[key] for key in ORIGIN_KEYS if key in meta}
    contents = dict(
        state_dict={new: state[old] for old, new in names.items()},
        meta=dict(kept, backbone=backbone, target=told),
    )
    with replace_file(out) as part:
        torch.save(contents, part)
    return target


def usage(target: Target, path: str | Path) -> str:
    """Python that uses an exported file.

    Args:
        target (Target): What :func:`export_backbone` returned.
        path (str | Path): The file.
    """
    options = ', '.join(
        # torchvision's norm layer is an expression, not a text.
        f'{key}={value if key == "norm_layer" else repr(value)}'
        for key, value in target.arguments.items()
    )
    if target.library in ('torchvision', 'timm'):
        call = f'torchvision.models.{target.model}({options})'
        if target.library == 'timm':
            call = f'timm.create_model({", ".join(filter(None, (repr(target.model), options)))})'
        return (
            f'model = {call}\n'
            f'# The classifier is not in the file.\n'
            f"model.load_state_dict(torch.load('{path}')['state_dict'], strict=False)"
        )
    prefix = f", prefix='{target.prefix}'" if target.prefix else ''
    options = f'{options}, ' if options else ''
    return (
        f"backbone=dict(type='{target.model}', {options}init_cfg=dict("
        f"type='Pretrained', checkpoint='{path}'{prefix}))"
    )

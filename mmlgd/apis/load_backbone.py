"""A distilled backbone, ready to use."""

from pathlib import Path

from mmengine.config import Config
from torch import nn

from mmlgd.errors import CheckpointError
from mmlgd.registry import MODELS
from mmlgd.utils.checkpoint import load_exactly, read_checkpoint


def load_backbone(
    checkpoint: str | Path,
    backbone: dict | None = None,
    **overrides: object,
) -> nn.Module:
    """Build the backbone of a checkpoint and load its weights, all of them.

    Args:
        checkpoint (str | Path): A training checkpoint, or ``backbone.pth``.
        backbone (dict, optional): Config of the backbone. Defaults to None: the
            one that the checkpoint tells.
        **overrides: Options that replace the config's, e.g. ``out_indices``.

    Returns:
        nn.Module: The backbone in eval mode, on the CPU. It gives a tuple of
        feature maps for images (B, 3, H, W) normalised with the ``image_mean``
        and ``image_std`` of the checkpoint's meta.

    Raises:
        CheckpointError: The file cannot be read, tells no backbone, or its
            weights do not fit.

    Example:
        >>> backbone = load_backbone('work_dirs/demo/backbone.pth', out_indices=(1, 3, 8, 11))
    """
    contents = read_checkpoint(checkpoint)
    backbone = backbone or told_backbone(contents['meta'])
    if backbone is None:
        raise CheckpointError(
            f'{checkpoint} does not tell its backbone; pass backbone=dict(type='
            "'mmpretrain.MobileNetV3', ...)."
        )
    module = MODELS.build(dict(backbone, **overrides))
    load_exactly(module, contents['state_dict'], 'backbone.', checkpoint)
    module.eval()
    return module


def told_backbone(meta: dict) -> dict | None:
    """Config of the backbone that a checkpoint's meta tells; None if it does not."""
    if 'backbone' in meta:
        return meta['backbone']
    if 'cfg' in meta:
        model = Config.fromstring(meta['cfg'], '.py').get('model', {})
        return model.get('backbone')
    return None

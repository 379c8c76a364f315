"""Loading of a distilled backbone."""

from pathlib import Path

from torch import nn

from mmlgd.errors import CheckpointError, ConfigError, MMLGDError
from mmlgd.registry import MODELS
from mmlgd.utils.checkpoint import load_exactly, read_checkpoint
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.stored_config import building, trusted_config


def load_backbone(
    checkpoint: str | Path,
    backbone: dict | None = None,
    **overrides: object,
) -> nn.Module:
    """Build the backbone of a checkpoint and load its weights, all of them.

    Nothing in the file is executed, imported or downloaded: its config may refer to
    registered backbones only, and to no weights.

    Args:
        checkpoint (str | Path): A training checkpoint, or ``backbone.pth``.
        backbone (dict, optional): Config of the backbone, which is trusted. Defaults to
            None: the one in the checkpoint.
        **overrides: Options that replace those of the config, such as ``out_indices``.

    Returns:
        nn.Module: The backbone in eval mode, on the CPU. It returns a tuple of
        feature maps for images (B, 3, H, W) normalised with the ``image_mean``
        and ``image_std`` of the checkpoint's meta.

    Raises:
        CheckpointError: The file cannot be read, contains no backbone config or an
            untrusted one, or its weights do not fit or are not finite.
        ConfigError: The backbone cannot be built with the given options.

    Example:
        >>> backbone = load_backbone('work_dirs/demo/backbone.pth', out_indices=(1, 3, 8, 11))
    """
    contents = read_checkpoint(checkpoint)
    if backbone is None:
        record = CheckpointMeta.from_meta(contents['meta'], checkpoint)
        module = build_backbone(record, **overrides)
    else:
        module = _build(dict(backbone, **overrides))
    # With fewer maps, a network of timm is built up to the last of them.
    is_shorter = 'out_indices' in overrides
    load_exactly(module, contents['state_dict'], 'backbone.', checkpoint, is_shorter)
    module.eval()
    return module


def stored_backbone(record: CheckpointMeta) -> dict:
    """Config of the backbone in a checkpoint, verified to be safe to build.

    Raises:
        CheckpointError: The checkpoint contains none, or an untrusted one.
    """
    if record.backbone is None:
        raise CheckpointError(
            f'{record.path} does not contain the config of its backbone.{record.note} Pass '
            "backbone=dict(type='mmpretrain.MobileNetV3', ...)."
        )
    return trusted_config(record.backbone, record.path, scope=record.default_scope)


def build_backbone(record: CheckpointMeta, **overrides: object) -> nn.Module:
    """Build the backbone of a checkpoint, without its weights.

    Args:
        record (CheckpointMeta): Metadata of the checkpoint.
        **overrides: See :func:`load_backbone`.

    Raises:
        CheckpointError: See :func:`stored_backbone`, or it cannot be built.
        ConfigError: The options do not fit the backbone.
    """
    config = stored_backbone(record)
    with building(record.path, 'backbone', record.default_scope):
        return _build({**config, **overrides}) if overrides else MODELS.build(config)


def _build(config: dict) -> nn.Module:
    try:
        return MODELS.build(config)
    except MMLGDError:
        raise
    except Exception as error:  # depends on the backbone's constructor
        raise ConfigError(
            f'The backbone {config.get("type")} cannot be built ({error}); correct its '
            'options.'
        ) from error

"""Merging the branches and BatchNorms that only training needs."""

import copy

from torch import nn

from mmlgd.errors import ConfigError


def merge_branches(module: nn.Module) -> nn.Module:
    """A copy of a model with its reparameterisable parts merged, same features.

    Those are the parts with ``switch_to_deploy`` (MobileOne, RepVGG, LeViT, ... of
    mmpretrain) and the models of timm that can (RepViT, FastViT, MobileOne, ...).

    Args:
        module (nn.Module): In eval mode; not changed.

    Returns:
        nn.Module: The copy; its keys are those of ``module`` where nothing can be merged.

    Raises:
        ConfigError: A part refuses, as with another norm layer than BN.
    """
    merged = copy.deepcopy(module)
    try:
        _merge(merged)
    except Exception as error:  # asserted by mmpretrain's blocks
        reason = ' '.join(str(error).split())
        raise ConfigError(
            f'The branches of {type(module).__name__} cannot be merged ({reason}); export '
            'it without fuse.'
        ) from error
    # Some backbones' eval() returns None: not to be chained.
    merged.eval()
    return merged


def _merge(module: nn.Module) -> None:
    if hasattr(module, 'switch_to_deploy'):
        module.switch_to_deploy()
        return
    for name, part in list(module.named_children()):
        if type(part).__module__.startswith('timm.'):
            from timm.utils import reparameterize_model

            setattr(module, name, reparameterize_model(part, inplace=True))
        else:
            _merge(part)

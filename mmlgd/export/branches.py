"""Merging of branches and BatchNorms that only training needs."""

import copy

from torch import nn

from mmlgd.errors import ConfigError


def merge_branches(module: nn.Module) -> nn.Module:
    """Copy a model and merge its reparameterisable parts; its features do not change.

    These are the parts with ``switch_to_deploy`` (MobileOne, RepVGG, LeViT, ... of
    mmpretrain) and the models of timm that support it (RepViT, FastViT, MobileOne, ...).

    Args:
        module (nn.Module): In eval mode. It is not changed.

    Returns:
        nn.Module: The copy. It has the keys of ``module`` if nothing can be merged.

    Raises:
        ConfigError: A part cannot be merged, such as one with a norm layer other than BN.
    """
    merged = copy.deepcopy(module)
    try:
        _merge(merged)
    except Exception as error:  # assertions in mmpretrain's blocks
        reason = ' '.join(str(error).split())
        raise ConfigError(
            f'The branches of {type(module).__name__} cannot be merged ({reason}); export '
            'it without fuse.'
        ) from error
    # eval() of some backbones returns None, so the call is not chained.
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

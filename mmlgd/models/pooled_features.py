"""Outputs of a backbone, and the check that a neck pools them over the right axes."""

import torch
from mmpretrain.models.necks import GeneralizedMeanPooling, GlobalAveragePooling
from torch import Tensor, nn

from mmlgd.errors import MMLGDError

# These average over all axes but the first two, in any layout.
_MAP_POOLING = (GlobalAveragePooling, GeneralizedMeanPooling)
#: Advice to use the pooling of a timm model itself.
TIMM_POOLING = (
    "To pool as the model itself does, set backbone.type='mmlgd.TIMMBackbone', "
    'backbone.pooled=True, no features_only, and neck=None'
)


@torch.no_grad()
def probe_pooling(
    backbone: nn.Module,
    neck: nn.Module | None,
    images: Tensor,
    name: str,
    error: type[MMLGDError],
) -> tuple[Tensor, list[int]]:
    """Run a backbone and its pooling once, and check that channels are kept.

    Args:
        backbone: In eval mode.
        neck: Pools the output of the backbone, see :func:`pool_features`.
        images: (1, 3, H, W).
        name: Name of the model, for the message.
        error: Type of the error that is raised.

    Returns:
        tuple[Tensor, list[int]]: The features (1, h), and the channels of each feature
        map (1, C, h, w) that the backbone returns.

    Raises:
        MMLGDError: Of the given type: the features are not (1, h), or the neck pools
            over channels, as pooling of maps does with tokens.
    """
    outputs = backbone(images)
    kind = output_kind(outputs, images, backbone)
    message = (
        f'{name} returns {kind} of shape {tuple(last_of(outputs).shape)} before the neck '
        f'({type(neck).__name__}), which does not pool them to features (B, C); '
        f'{_hint(kind, backbone)}.'
    )
    try:
        features = pool_features(neck, outputs)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as cause:
        raise error(message) from cause
    if features.dim() != 2 or _pools_channels(neck, kind, outputs, features):
        raise error(message)
    maps = as_maps(outputs) if kind == 'maps' else []
    return features, [each.shape[1] for each in maps]


def pool_features(neck: nn.Module | None, outputs: Tensor | tuple | list) -> Tensor:
    """Pool the output of a backbone, the last of several, to features (B, C)."""
    return last_of(outputs if neck is None else neck(outputs))


def as_maps(outputs: Tensor | tuple | list) -> list[Tensor]:
    """The feature maps (B, C, h, w) among the outputs of a backbone, in their order."""
    outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
    return [each for each in outputs if torch.is_tensor(each) and each.dim() == 4]


def last_of(outputs: Tensor | tuple | list) -> Tensor:
    """The last tensor in the possibly nested output of a backbone."""
    while isinstance(outputs, (tuple, list)):
        outputs = outputs[-1]
    return outputs


def output_kind(outputs: object, images: Tensor, backbone: nn.Module) -> str:
    """Determine the layout of a backbone's output.

    Args:
        outputs: Output of the backbone.
        images: (B, 3, H, W), its input.
        backbone: Runs again, on larger images, if the sizes are ambiguous.

    Returns:
        str: 'vectors' (B, C), 'tokens' (B, N, C), 'maps' (B, C, h, w) or
        'channels-last maps' (B, h, w, C).
    """
    shape = last_of(outputs).shape
    if len(shape) == 2:
        return 'vectors'
    if len(shape) == 3:
        return 'tokens'
    height, width = images.shape[-2:]
    first, last = (
        abs(shape[axis] * width - shape[axis + 1] * height) < max(height, width)
        for axis in (2, 1)
    )
    if first and last:
        # As many channels as rows and columns; only the latter grow with the image.
        try:
            larger = backbone(images.new_zeros(1, 3, 2 * height, 2 * width))
        except (RuntimeError, ValueError, AssertionError):
            return 'maps'
        first = last_of(larger).shape[1] == shape[1]
    return 'channels-last maps' if last and not first else 'maps'


def _pools_channels(
    neck: nn.Module | None, kind: str, outputs: object, features: Tensor
) -> bool:
    if kind not in ('tokens', 'channels-last maps'):
        return False
    if isinstance(neck, _MAP_POOLING):
        return True
    # A neck with weight matrices may change the width.
    has_matrix = any(weight.dim() > 1 for weight in neck.parameters()) if neck else True
    return not has_matrix and features.shape[1] != last_of(outputs).shape[-1]


def _hint(kind: str, backbone: nn.Module) -> str:
    if kind == 'vectors':
        return 'set neck=None'
    if kind == 'maps':
        return "set neck=dict(type='mmpretrain.GlobalAveragePooling')"
    if kind == 'channels-last maps':
        return "set neck=dict(type='TokenPooling')"
    timm_model = getattr(backbone, 'timm_model', None)
    prefix = getattr(backbone, 'num_extra_tokens', None)
    prefix = getattr(timm_model, 'num_prefix_tokens', prefix)
    known = 'the number of its class and register tokens'
    advice = (
        "set neck=dict(type='TokenPooling', pool='cls') for the class token, or "
        "neck=dict(type='TokenPooling', pool='mean', num_prefix_tokens="
        f'{known if prefix is None else prefix}) for the mean of the patches, as in the '
        'training of the backbone'
    )
    if timm_model is not None:
        return f'{advice}. {TIMM_POOLING}'
    return (
        f"{advice}; an mmpretrain backbone with out_type='cls_token' or "
        "'avg_featmap' needs neck=None"
    )

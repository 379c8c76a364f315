"""Feature maps of open_clip's image towers, and embeddings of their locations."""

from torch import Tensor, nn

from mmlgd.errors import TeacherError


def has_map(visual: nn.Module) -> bool:
    """Whether an image tower can return the feature map before its pooling."""
    # timm's trunks are wrapped in an adapter, and not all of them can.
    trunk = getattr(visual, 'trunk', visual)
    return hasattr(trunk, 'forward_intermediates')


def features_and_map(visual: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Pooled features (B, D) and the last feature map (B, C, h, w), in one pass.

    The map is the output of the last stage of a ResNet or a timm trunk. For a ViT, it is
    the output of the last block at the patches, before the last LayerNorm.
    """
    output = visual.forward_intermediates(inputs, indices=1)
    return output['image_features'], output['image_intermediates'][-1]


def embed_locations(visual: nn.Module, feature_map: Tensor, name: str) -> Tensor:
    """Map each location of a feature map to the joint embedding space.

    For a ResNet, the value and output projections of the attention pooling are applied
    to each location, without query, key and position embeddings. For a ViT, the last
    LayerNorm and the projection of the class token are applied to the patches.

    Args:
        visual (nn.Module): An image tower of open_clip.
        feature_map (torch.Tensor): (B, C, h, w), from :func:`features_and_map`.
        name (str): Name of the teacher, for the message.

    Returns:
        torch.Tensor: (B, D, h, w), not normalised.

    Raises:
        TeacherError: The tower uses another pooling.

    Source: arXiv 2112.01071 (MaskCLIP), section 3.2, for the attention pooling.
    """
    rows = feature_map.permute(0, 2, 3, 1)
    if hasattr(visual, 'attnpool'):
        rows = visual.attnpool.c_proj(visual.attnpool.v_proj(rows))
    elif hasattr(visual, 'ln_post') and visual.attn_pool is None:
        rows = visual.ln_post(rows)
        rows = rows if visual.proj is None else rows @ visual.proj
    else:
        raise TeacherError(
            f'{name} has a pooling that defines no embeddings of single locations. Use '
            'encode_feature_map, or a CLIP with a ResNet (RN50) or a plain ViT '
            '(ViT-B-16).'
        )
    return rows.permute(0, 3, 1, 2)

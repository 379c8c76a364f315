"""Feature maps of open_clip's image towers, and the embeddings of their places."""

from torch import Tensor, nn

from mmlgd.errors import TeacherError


def has_map(visual: nn.Module) -> bool:
    """Whether an image tower can give what lies before its pooling."""
    # timm's trunks stand behind an adapter; not all of them can.
    trunk = getattr(visual, 'trunk', visual)
    return hasattr(trunk, 'forward_intermediates')


def features_and_map(visual: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Pooled features (B, D) and the last feature map (B, C, h, w), in one pass.

    The map is the output of the last stage of a ResNet or a timm trunk; of a ViT,
    that of the last block at the patches, before its last LayerNorm.
    """
    output = visual.forward_intermediates(inputs, indices=1)
    return output['image_features'], output['image_intermediates'][-1]


def embed_places(visual: nn.Module, feature_map: Tensor, name: str) -> Tensor:
    """Maps each place of a feature map into the space of text.

    A ResNet's attention pooling averages over places what its value and output
    projections make of each of them: these two are applied, without the query,
    the key and the positions. A ViT's last LayerNorm and projection, made for the
    class token, are applied to the patches.

    Args:
        visual (nn.Module): An image tower of open_clip.
        feature_map (torch.Tensor): (B, C, h, w), of :func:`features_and_map`.
        name (str): The teacher, for the message.

    Returns:
        torch.Tensor: (B, D, h, w), not of unit length.

    Raises:
        TeacherError: The tower pools in another way.

    Source: arXiv 2112.01071 (MaskCLIP), section 3.2, for the attention pooling.
    """
    places = feature_map.permute(0, 2, 3, 1)
    if hasattr(visual, 'attnpool'):
        places = visual.attnpool.c_proj(visual.attnpool.v_proj(places))
    elif hasattr(visual, 'ln_post') and visual.attn_pool is None:
        places = visual.ln_post(places)
        places = places if visual.proj is None else places @ visual.proj
    else:
        raise TeacherError(
            f'{name} pools its feature map in a way that gives single places no '
            'embedding. Use encode_feature_map, or a CLIP with a ResNet (RN50) or a '
            'plain ViT (ViT-B-16).'
        )
    return places.permute(0, 3, 1, 2)

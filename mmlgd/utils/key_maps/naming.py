"""Writes the names that other libraries give to a place."""

from collections.abc import Callable, Sequence

from .layers import Place, split_into_stages

#: Blocks in each stage as timm counts stages. EfficientNet's are the published
#: ones of B0 and of its deeper relatives (depth factors 1.1, 1.1, 1.2, 1.4, 1.8).
STAGES = {
    'MobileNetV2': (1, 2, 3, 4, 3, 3, 1),
    'MobileNetV3-large': (1, 2, 3, 4, 2, 3),
    'MobileNetV3-small': (1, 2, 3, 2, 3),
    'EfficientNet-b0': (1, 2, 2, 3, 3, 4, 1),
    'EfficientNet-b1': (2, 3, 3, 4, 4, 5, 2),
    'EfficientNet-b2': (2, 3, 3, 4, 4, 5, 2),
    'EfficientNet-b3': (2, 3, 3, 5, 5, 6, 2),
    'EfficientNet-b4': (2, 4, 4, 6, 6, 8, 2),
}

#: None for a tensor that the target has no layer for.
Namer = Callable[[Place], str | None]


def timm_namer(stages: Sequence[int], last_is_block: bool) -> Namer:
    """Names of timm's MobileNets and EfficientNets.

    Args:
        stages (Sequence[int]): Blocks in each stage.
        last_is_block (bool): Whether the last convolution is a stage of its own, as
            in MobileNetV3, where it stands before the pooling.
    """
    last = f'blocks.{len(stages)}.0.' if last_is_block else ''
    outer = {
        'stem': dict(conv='conv_stem', bn='bn1'),
        'last': dict(conv='conv', bn='bn1')
        if last_is_block
        else dict(conv='conv_head', bn='bn2'),
    }

    def name(place: Place) -> str:
        if place.role in outer:
            prefix = last if place.role == 'last' else ''
            return f'{prefix}{outer[place.role][place.kind]}.{place.leaf}'
        stage, index = split_into_stages(place.block, stages)
        # Depthwise separable blocks, which do not expand, end with `conv_pw`.
        first, end = (
            ('conv_pw', 'conv_pwl') if 'expand' in place.roles else ('', 'conv_pw')
        )
        convs = dict(
            expand=first,
            depthwise='conv_dw',
            reduce='se.conv_reduce',
            excite='se.conv_expand',
            project=end,
        )
        layer = convs[place.role]
        if place.kind == 'bn':
            layer = f'bn{_order(place, ("expand", "depthwise", "project")) + 1}'
        return f'blocks.{stage}.{index}.{layer}.{place.leaf}'

    return name


def torchvision_mobilenet_v2(place: Place) -> str:
    """Names of torchvision's MobileNetV2."""
    part = dict(conv=0, bn=1)[place.kind]
    if place.role in ('stem', 'last'):
        return f'features.{place.block + 1}.{part}.{place.leaf}'
    order = place.roles.index(place.role)
    # The last convolution is not packed together with its BatchNorm.
    layer = f'{order + part}' if place.role == 'project' else f'{order}.{part}'
    return f'features.{place.block + 1}.conv.{layer}.{place.leaf}'


def torchvision_blocks(stages: Sequence[int] | None) -> Namer:
    """Names of torchvision's MobileNetV3, and of its EfficientNet.

    Args:
        stages (Sequence[int] | None): Blocks in each stage; None where the blocks
            are counted through, as in MobileNetV3.
    """

    def name(place: Place) -> str:
        part = dict(conv=0, bn=1)[place.kind]
        if place.role in ('stem', 'last'):
            number = len(stages) if stages and place.role == 'last' else place.block
            return f'features.{number + 1}.{part}.{place.leaf}'
        where = f'features.{place.block + 1}'
        if stages:
            stage, index = split_into_stages(place.block, stages)
            where = f'features.{stage + 1}.{index}'
        # Both convolutions of squeeze-and-excitation stand in one module.
        parts = [role for role in place.roles if role != 'excite']
        if place.role in ('reduce', 'excite'):
            layer = dict(reduce='fc1', excite='fc2')[place.role]
            return f'{where}.block.{parts.index("reduce")}.{layer}.{place.leaf}'
        return f'{where}.block.{parts.index(place.role)}.{part}.{place.leaf}'

    return name


def mmdet_mobilenet_v2(place: Place) -> str:
    """Names of mmdet's MobileNetV2, which calls convolutions by what they do."""
    if place.role in ('stem', 'last'):
        return place.key
    block = place.key.partition('.conv.')[0]
    layer = dict(
        expand='expand_conv', depthwise='depthwise_conv', project='linear_conv'
    )
    return f'{block}.{layer[place.role]}.{place.kind}.{place.leaf}'


def mmseg_mobilenet_v2(place: Place) -> str | None:
    """Names of mmseg's MobileNetV2: mmpretrain's, without the last convolution."""
    return None if place.role == 'last' else place.key


def _order(place: Place, roles: Sequence[str]) -> int:
    return [role for role in roles if role in place.roles].index(place.role)

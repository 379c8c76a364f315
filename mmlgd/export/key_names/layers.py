"""Parsing of mmpretrain's keys, independent of the naming of other libraries.

MobileNetV2, MobileNetV3 and EfficientNet all consist of a stem, inverted residual blocks
and a last convolution. A key is parsed into the layer and the tensor in this layer
(:class:`ParsedKey`). Each format derives the key names of its library from these.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

#: Blocks as mmpretrain names them: MobileNetV3's ``layer3.``, MobileNetV2's
#: ``layer3.1.conv.`` and EfficientNet's ``layers.3.1.``
_BLOCKS = re.compile(
    r'(?P<block>layers?\.?\d+(?:\.\d+)?)\.(?:conv\.(?=\d+\.(?:conv|bn)\.))?'
    r'(?P<conv>\d+|expand_conv|depthwise_conv|linear_conv|se\.conv1|se\.conv2)\.'
    r'(?P<kind>conv|bn)\.(?P<leaf>\w+)'
)
_OUTER = re.compile(r'(?P<layer>[\w.]+?)\.(?P<kind>conv|bn)\.(?P<leaf>\w+)')
_ROLES = {
    'expand_conv': 'expand',
    'depthwise_conv': 'depthwise',
    'linear_conv': 'project',
    'se.conv1': 'reduce',
    'se.conv2': 'excite',
}


class ParsedKey(NamedTuple):
    """A key of a backbone's state dict.

    Attributes:
        block (int): Index of the block; -1 for the stem, and the number of blocks for
            the last convolution.
        role (str): 'stem', 'last', or in a block 'expand', 'depthwise', 'reduce' and
            'excite' (of squeeze-and-excitation) or 'project'.
        kind (str): 'conv' or 'bn'.
        leaf (str): Name of the tensor, such as 'weight' or 'running_var'.
        name (str): The key in mmpretrain.
        roles (tuple[str, ...]): Roles in the block, in order.
    """

    block: int
    role: str
    kind: str
    leaf: str
    name: str
    roles: tuple[str, ...] = ()


#: Returns a library's name of a key; None for a tensor without a layer in the library.
Namer = Callable[[ParsedKey], str | None]

#: Blocks in each stage, with timm's definition of a stage. EfficientNet's are those of
#: the published B0 to B4 (depth factors 1.0, 1.1, 1.2, 1.4, 1.8).
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


def parse_keys(keys: Iterable[str]) -> dict[str, ParsedKey]:
    """Parse the keys of a MobileNet or EfficientNet of mmpretrain.

    Args:
        keys (Iterable[str]): Keys of the backbone's state dict, in its order.

    Returns:
        dict[str, ParsedKey]: Key to parsed key, in the same order.
    """
    found = {key: _BLOCKS.fullmatch(key) for key in keys}
    names = list(dict.fromkeys(m['block'] for m in found.values() if m))
    convs: dict[str, list[str]] = {name: [] for name in names}
    for match in found.values():
        if match and match['conv'] not in convs[match['block']]:
            convs[match['block']].append(match['conv'])
    roles = {name: _roles(convs[name]) for name in names}
    result, seen_block = {}, False
    for key, match in found.items():
        if match:
            seen_block = True
            order = roles[match['block']]
            role = order[convs[match['block']].index(match['conv'])]
            block = names.index(match['block'])
            result[key] = ParsedKey(
                block, role, match['kind'], match['leaf'], key, order
            )
        else:
            outer = _OUTER.fullmatch(key)
            assert outer, key  # other backbones are refused before
            where = (len(names), 'last') if seen_block else (-1, 'stem')
            result[key] = ParsedKey(*where, outer['kind'], outer['leaf'], key)
    return result


def split_into_stages(block: int, sizes: Sequence[int]) -> tuple[int, int]:
    """Stage, and index in the stage, of a block, both from 0."""
    for stage, size in enumerate(sizes):
        if block < size:
            return stage, block
        block -= size
    raise IndexError(f'There are fewer than {block + 1} blocks in {tuple(sizes)}.')


def _roles(convs: Sequence[str]) -> tuple[str, ...]:
    if convs[0] in _ROLES:
        return tuple(_ROLES[conv] for conv in convs)
    # MobileNetV2 numbers its convolutions. Its first block has no expansion.
    return ('expand', 'depthwise', 'project')[-len(convs) :]

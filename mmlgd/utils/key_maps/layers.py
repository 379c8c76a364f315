"""What a key of mmpretrain means, independent of any library's naming.

MobileNetV2, MobileNetV3 and EfficientNet are all a stem, a row of inverted
residual blocks, and a last convolution. A key is split into where it stands
(:class:`Place`) and which tensor of that convolution or BatchNorm it is; the other
libraries' names are then written from that, in :mod:`.naming`.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

#: Block as mmpretrain names it: MobileNetV3's ``layer3.``, MobileNetV2's
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


class Place(NamedTuple):
    """Where a tensor stands.

    Attributes:
        block (int): Index of the block; -1 for the stem; the number of blocks for
            the last convolution.
        role (str): 'stem', 'last', or within a block 'expand', 'depthwise',
            'reduce', 'excite' (the two of squeeze-and-excitation) or 'project'.
        kind (str): 'conv' or 'bn'.
        leaf (str): E.g. 'weight', 'running_var'.
        key (str): mmpretrain's name.
        roles (tuple[str, ...]): The roles that the block has, in their order.
    """

    block: int
    role: str
    kind: str
    leaf: str
    key: str
    roles: tuple[str, ...] = ()


def places(keys: Iterable[str]) -> dict[str, Place]:
    """Tell the place of every key of a MobileNet or EfficientNet of mmpretrain.

    Args:
        keys (Iterable[str]): Of the backbone's state dict, in its order.

    Returns:
        dict[str, Place]: The keys are the same, in the same order.
    """
    found = {key: _BLOCKS.fullmatch(key) for key in keys}
    names = list(dict.fromkeys(m['block'] for m in found.values() if m))
    convs = {name: [] for name in names}
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
            result[key] = Place(block, role, match['kind'], match['leaf'], key, order)
        else:
            outer = _OUTER.fullmatch(key)
            where = (len(names), 'last') if seen_block else (-1, 'stem')
            result[key] = Place(*where, outer['kind'], outer['leaf'], key)
    return result


def split_into_stages(block: int, sizes: Sequence[int]) -> tuple[int, int]:
    """Stage and index in it of a block, both from 0, for stages of these sizes."""
    for stage, size in enumerate(sizes):
        if block < size:
            return stage, block
        block -= size
    raise IndexError(f'There are fewer than {block + 1} blocks in {tuple(sizes)}.')


def _roles(convs: Sequence[str]) -> tuple[str, ...]:
    if convs[0] in _ROLES:
        return tuple(_ROLES[conv] for conv in convs)
    # MobileNetV2 numbers them; the first block widens nothing.
    return ('expand', 'depthwise', 'project')[-len(convs) :]

"""Other spellings of the built-in category sets, in the same official order.

A text encoder is given names that it understands; the dataset classes of mmpretrain and
the folders on disk have the official ones. ``imagenet`` is known by mmpretrain's
comma-joined synonyms ('tench, Tinca tinca') and by the WordNet ids of its folders
('n01440764').
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mmlgd.datasets.category_names import load_category_names

# A set with a few names changed keeps its order, and with it its official spellings.
_SHARE_CHANGED = 0.1
_WNIDS = Path(__file__).with_name('imagenet_wnids.txt')


def official_spellings(names: Sequence[str]) -> list[Sequence[str]]:
    """Lists that spell the same classes otherwise, each parallel to ``names``.

    Args:
        names (Sequence[str]): C names. They count as a built-in set where at least nine
            in ten of them are that set's name at the same index, in one of its spellings,
            and the others are none of its names.

    Returns:
        list[Sequence[str]]: Lists of C spellings; empty if the names are not a built-in
        set, or a set with only one spelling.
    """
    for built_in, others in _official().items():
        lists = [load_category_names(built_in), *others]
        if any(_is_alike(names, each) for each in lists):
            return lists
    return []


def _is_alike(names: Sequence[str], official: Sequence[str]) -> bool:
    if len(names) != len(official):
        return False
    changed = [name for name, other in zip(names, official) if name != other]
    return len(changed) <= _SHARE_CHANGED * len(names) and not {*changed} & {*official}


@cache
def _official() -> dict[str, list[Sequence[str]]]:
    from mmpretrain.datasets import categories

    return {
        'imagenet': [
            categories.IMAGENET_CATEGORIES,
            categories.IMAGENET_SIMPLE_CATEGORIES,
            _WNIDS.read_text(encoding='utf-8').split(),
        ],
        'fashion_mnist': [categories.FASHIONMNIST_CATEGORITES],
    }

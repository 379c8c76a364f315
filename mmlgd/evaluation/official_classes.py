"""Other spellings of the built-in category sets, in the same order.

A text encoder needs names that it understands; dataset classes of mmpretrain and folders
on disk have official names. The classes of ``imagenet`` may be given as mmpretrain's
comma-separated synonyms ('tench, Tinca tinca') or as the WordNet ids of its folders
('n01440764').
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mmlgd.datasets.category_names import load_category_names

# A set with a few changed names keeps its order, and so its official spellings.
_SHARE_CHANGED = 0.1
_WNIDS = Path(__file__).with_name('imagenet_wnids.txt')


def official_spellings(names: Sequence[str]) -> list[Sequence[str]]:
    """Lists with other spellings of the same classes, each parallel to ``names``.

    Args:
        names (Sequence[str]): C names. They count as a built-in set if at least nine
            in ten of them are that set's name at the same index, in one of its spellings,
            and the others do not occur in the set.

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

"""Comparison of teachers by their weights, independent of their names."""

import hashlib
from collections.abc import Sequence

_HEX = frozenset('0123456789abcdef')
# Minimum digits of a fingerprint in all releases; a shorter one is a prefix of a longer.
_DIGITS = 8


def same_identity(first: object, second: object) -> bool:
    """Whether two identities belong to the same teacher.

    An identity is ``name#fingerprint``. The name (model, tag or weight file) is used
    only in messages, except for QuickGELU, which changes the embeddings but not the
    weights.

    Args:
        first (object): The ``identity`` or ``text_identity`` of a teacher; values other
            than strings never match.
        second (object): Another identity; its fingerprint may have another length.

    Example:
        >>> same_identity('open_clip/RN50/openai#eccd601a', 'open_clip/RN50/w.pt#eccd601a')
        True
    """
    if not (isinstance(first, str) and isinstance(second, str)):
        return False
    if first == second:
        return True
    if not ('#' in first and '#' in second):
        return False
    weights, others = _fingerprint(first), _fingerprint(second)
    shorter = min(len(weights), len(others))
    if shorter >= _DIGITS and _HEX.issuperset(weights + others):
        weights, others = weights[:shorter], others[:shorter]
    return weights == others and is_quick(first) == is_quick(second)


def identity_key(identity: str) -> str:
    """The part of an identity that determines the teacher, for cache keys."""
    return f'{_fingerprint(identity)}{"-quickgelu" if is_quick(identity) else ""}'


def joint_identity(identities: Sequence[str]) -> str:
    """One identity of several teachers in order: names and a common fingerprint."""
    names = '+'.join(each.rsplit('#', 1)[0] for each in identities)
    keys = '+'.join(map(identity_key, identities))
    return f'{names}#{hashlib.sha256(keys.encode()).hexdigest()[:8]}'


def explain_difference(found: object, wanted: str) -> str:
    """How to fix identities that differ only in the activation; otherwise ''."""
    if not (isinstance(found, str) and _fingerprint(found) == _fingerprint(wanted)):
        return ''
    return (
        ' The weights are the same, but only one of the two uses QuickGELU: set '
        f'force_quick_gelu={is_quick(found)} of the teacher.'
    )


def is_quick(identity: str) -> bool:
    """Whether the model of an identity uses QuickGELU."""
    return '-quickgelu/' in identity


def _fingerprint(identity: str) -> str:
    return identity.rsplit('#', 1)[-1]

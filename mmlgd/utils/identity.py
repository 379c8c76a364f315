"""Whether two teachers are the same: their weights count, their names do not."""

_HEX = frozenset('0123456789abcdef')
# Digits that every identity has had; a longer fingerprint begins with the shorter.
_DIGITS = 8


def same_identity(first: object, second: object) -> bool:
    """Whether two identities are those of one teacher.

    An identity is ``name#fingerprint``. The name (model, tag or weight file) serves
    messages only, except for QuickGELU: it changes the embeddings and leaves the
    weights as they are.

    Args:
        first (object): The ``identity`` or ``text_identity`` of a teacher; anything
            but a string is no teacher's.
        second (object): Another, with a fingerprint of as many digits or not.

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
    """The part of an identity that says which teacher it is, for the key of a cache."""
    return f'{_fingerprint(identity)}{"-quickgelu" if is_quick(identity) else ""}'


def explain_difference(found: object, wanted: str) -> str:
    """How to fix two identities that differ in the activation alone; else ''."""
    if not (isinstance(found, str) and _fingerprint(found) == _fingerprint(wanted)):
        return ''
    return (
        ' The weights are the same, but only one of the two computes with QuickGELU: set '
        f'force_quick_gelu={is_quick(found)} of the teacher.'
    )


def is_quick(identity: str) -> bool:
    """Whether the model of an identity computes with QuickGELU."""
    return '-quickgelu/' in identity


def _fingerprint(identity: str) -> str:
    return identity.rsplit('#', 1)[-1]

"""Suggestions for misspelt names in error messages."""

import difflib
from collections.abc import Iterable


def suggest(name: str, known: Iterable[str], count: int = 1) -> str:
    """Return a question with the closest known spellings, or ''.

    Args:
        name (str): The misspelt name.
        known (Iterable[str]): The valid names.
        count (int): Maximum number of suggestions. Defaults to 1.

    Returns:
        str: ``" Did you mean 'optim_wrapper'?"`` with a leading space, so that it can
        follow a sentence; '' if no name is close.

    Example:
        >>> suggest('optim_wraper', ['model', 'optim_wrapper'])
        " Did you mean 'optim_wrapper'?"
    """
    # Case and dashes are ignored; the message has the original spelling.
    spellings = {_fold(each): each for each in known}
    close = difflib.get_close_matches(_fold(name), spellings, n=count)
    if not close:
        return ''
    return f' Did you mean {" or ".join(repr(spellings[each]) for each in close)}?'


def _fold(name: str) -> str:
    return name.casefold().replace('-', '_')

"""Text that can be written to every terminal, log and file."""


def describe_error(error: BaseException, limit: int = 400) -> str:
    """Type and message of an error in one line, as a part of another message.

    Args:
        error: An error of a library, whose message may have many lines.
        limit: Number of characters of the message that are kept. Defaults to 400.

    Returns:
        str: For example ``'ValueError: the size is odd'``.
    """
    return f'{type(error).__name__}: {" ".join(str(error).split())[:limit]}'


def printable(text: str) -> str:
    r"""Escape unprintable characters, such as bytes of a file name that are not UTF-8.

    Python represents such bytes as lone surrogates, which no encoder accepts. Line
    breaks in a file name are also escaped, so that a list has one line per file.

    Args:
        text: Any text, for example a path.

    Returns:
        str: The escaped text; equal to ``text`` if all of it is printable.

    Example:
        >>> printable('caf\udce9.jpg')
        'caf\\udce9.jpg'
    """
    if text.isprintable():
        return text
    return ''.join(
        char if char.isprintable() else char.encode('unicode_escape').decode()
        for char in text
    )

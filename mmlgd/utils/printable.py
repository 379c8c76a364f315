"""Text that every terminal, log and file can take."""


def printable(text: str) -> str:
    r"""Escape what cannot be printed, such as bytes of a file name that are not UTF-8.

    Python keeps such bytes as lone surrogates, which no encoder accepts. A line break
    in a file name is escaped as well, so that a list has one line for each file.

    Args:
        text: Any text, for example a path.

    Returns:
        str: The same text where all of it can be printed.

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

"""Text that can be written to every terminal, log and file."""


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

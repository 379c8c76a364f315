"""Names of shards, written as patterns."""

import re
from collections.abc import Iterator

from mmlgd.errors import ConfigError

_RANGE = re.compile(r'\{(\d+)\.\.(\d+)\}')
#: Shards of one pattern; more are certainly a mistake.
_MAX_SHARDS = 10_000_000


def expand_braces(pattern: str) -> Iterator[str]:
    """Expand ranges of numbers, as WebDataset and shells do.

    Numbers are padded with zeros to the length of the first one.

    Raises:
        ConfigError: A range is empty or too long.

    Example:
        >>> list(expand_braces('part-{08..10}.tar'))
        ['part-08.tar', 'part-09.tar', 'part-10.tar']
    """
    found = _RANGE.search(pattern)
    if not found:
        yield pattern
        return
    first, last = found.groups()
    # A number of many digits would take long to convert.
    if len(last) > 12 or not int(first) <= int(last) < int(first) + _MAX_SHARDS:
        raise ConfigError(
            f'The range {found.group()!r} of shards must be like {{0000..0123}}, the '
            'smaller number first.'
        )
    for number in range(int(first), int(last) + 1):
        head = f'{pattern[: found.start()]}{number:0{len(first)}}'
        for tail in expand_braces(pattern[found.end() :]):
            yield head + tail


def is_glob(name: str) -> bool:
    """Whether a name has wildcards, so that the place has to be listed."""
    return any(char in name for char in '*?[')

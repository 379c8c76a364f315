"""Local paths as users write them."""

import os

from mmlgd.errors import ConfigError


def expand_user(path: str | os.PathLike[str], what: str) -> str:
    """A path with a leading ``~`` replaced by the home folder.

    Args:
        path: The path as it was given.
        what: What it is the path of, for the message, e.g. ``'the cache'``.

    Raises:
        ConfigError: The text has a null character, which no path can have.

    Example:
        >>> expand_user('data/imagenet', 'the images')
        'data/imagenet'
    """
    if '\0' in os.fspath(path):
        raise ConfigError(
            f'{path!r} cannot be the path of {what}: it has a null character. Remove it.'
        )
    return os.path.expanduser(path)

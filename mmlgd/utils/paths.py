"""Local paths given by users."""

import os

from mmlgd.errors import ConfigError


def expand_user(path: str | os.PathLike[str], what: str) -> str:
    """Replace a leading ``~`` of a path by the home folder.

    Args:
        path: The path as given.
        what: Description of the path's target, for the message, e.g. ``'the cache'``.

    Raises:
        ConfigError: The path has a null character.

    Example:
        >>> expand_user('data/imagenet', 'the images')
        'data/imagenet'
    """
    if '\0' in os.fspath(path):
        raise ConfigError(
            f'{path!r} cannot be the path of {what}: it has a null character. Remove it.'
        )
    return os.path.expanduser(path)

"""One worker a folder, also across processes."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmlgd.errors import ConfigError


@contextmanager
def hold(folder: Path) -> Iterator[int]:
    """Keep others away from a folder, which need not exist.

    A process that gets the descriptor holds on to it: where this one is killed, the
    folder is free once the last of them has ended.

    Args:
        folder (Path): Its parent is made; the lock lies in there.

    Yields:
        int: The descriptor.

    Raises:
        ConfigError: Another process holds it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / f'.{folder.name}.lock', 'w') as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f'{folder}: another process works on this run; wait for its end, or end '
                'it.'
            ) from None
        yield stream.fileno()

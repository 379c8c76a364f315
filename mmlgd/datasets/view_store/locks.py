"""One process at a time, where the file system has locks."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mmlgd.errors import DataError


@contextmanager
def one_process(store: Path) -> Iterator[None]:
    """Wait until no other process is within this, for the same store."""
    with open(store / '.lock', 'w') as stream:
        # Without locks, two may do the same work; each writes whole files.
        with suppress(OSError):
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def claim(file: IO, path: Path) -> None:
    """Keep others from a file until it is closed.

    Raises:
        DataError: Another process has it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataError(
            f'Another process writes {path}; wait for its end, or give each machine its '
            'own --part.'
        ) from None
    except OSError:
        return  # No locks here; nothing else depends on them.

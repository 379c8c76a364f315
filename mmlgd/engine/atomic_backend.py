"""A file backend for mmengine that writes a complete file or nothing."""

import os.path as osp
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmlgd.errors import CheckpointError
from mmlgd.utils.atomic import write_atomically

#: Name of the backend in ``backend_args``.
ATOMIC_BACKEND = 'mmlgd_atomic'


@register_backend(ATOMIC_BACKEND)
class AtomicLocalBackend(LocalBackend):
    """Local files that are written under a temporary name and then renamed."""

    _removals: list[str] | None = None

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a complete file or nothing.

        Args:
            obj: The content.
            filepath: The file to create or replace.

        Raises:
            CheckpointError: The file cannot be written. The message gives the needed
                and the free space.
        """
        try:
            write_atomically(filepath, obj)
        except OSError as error:
            needed = len(obj) / 2**20
            raise CheckpointError(
                f'{filepath} could not be saved ({error}): it needs {needed:.1f} MiB, '
                f'and {_free_space(filepath)}.'
            ) from error

    def remove(self, filepath: str | Path) -> None:
        """Remove a file, or record it while :meth:`deferred_removals` is active."""
        if self._removals is None:
            super().remove(filepath)
        else:
            self._removals.append(str(filepath))

    @contextmanager
    def deferred_removals(self) -> Iterator[list[str]]:
        """Defer removals until the body has succeeded; discard them if it raises.

        Yields:
            list[str]: The files to remove; the body may drop entries.
        """
        removals: list[str] = []
        self._removals = removals
        try:
            yield removals
        finally:
            self._removals = None
        for path in removals:
            self.remove(path)


def _free_space(path: str | Path) -> str:
    try:
        free = shutil.disk_usage(osp.dirname(path) or '.').free / 2**20
    except OSError:
        return f'the folder {osp.dirname(path)!r} cannot be used'
    return f'{free:.1f} MiB are free there'

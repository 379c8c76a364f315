"""The images that did not load, as known to all processes of a rank."""

import os
import tempfile
import weakref
from contextlib import suppress

import numpy as np


class BrokenImages:
    """Indices of images that did not load, shared with the workers of data loaders.

    Every process appends to one temporary file, in writes of 8 bytes, which the system
    does not interleave. Memory and time depend on the number of broken images, not on
    the size of the dataset. Copies in other processes share the file; the process that
    created it removes it.
    """

    def __init__(self) -> None:
        descriptor, self._path = tempfile.mkstemp(prefix='mmlgd-broken-')
        os.close(descriptor)
        weakref.finalize(self, _remove, self._path, os.getpid())

    def __getstate__(self) -> dict:
        return dict(_path=self._path)

    def add(self, index: int) -> bool:
        """Note an image.

        Returns:
            bool: Whether it was unknown so far.
        """
        if index in self.indices():
            return False
        with open(self._path, 'ab', buffering=0) as file:
            file.write(np.int64(index).tobytes())
        return True

    def indices(self) -> np.ndarray:
        """(K,) int64: indices of the noted images, ascending."""
        return np.unique(np.fromfile(self._path, np.int64))


def _remove(path: str, owner: int) -> None:
    # A forked process has a copy of the finalizer.
    if os.getpid() == owner:
        with suppress(FileNotFoundError):
            os.remove(path)

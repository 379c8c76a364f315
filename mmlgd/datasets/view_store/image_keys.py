"""By what the images of a data set are known: name or pixels, size, hash."""

import hashlib
import os
from collections.abc import Sized
from pathlib import Path

import numpy as np

from mmlgd.datasets.image_list import list_images_of
from mmlgd.errors import DataError

DIGEST_BYTES = 16


def image_key(name: str, digest: bytes) -> int:
    """Key of an image, in 64 bits.

    Args:
        name: Of its file, '' for an image in memory.
        digest: From :func:`content_hash`; plays no part where there is a name.
    """
    if name:
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:8], 'little')


def content_hash(source: str | np.ndarray) -> tuple[int, bytes]:
    """Size in bytes and hash of a file, or of an image held in memory.

    Args:
        source: As :class:`~mmlgd.datasets.image_list.ListedImage` has it.

    Raises:
        DataError: The file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    if isinstance(source, np.ndarray):
        digest.update(f'{source.dtype}{source.shape}'.encode())
        digest.update(source)
        return source.nbytes, digest.digest()
    try:
        content = Path(source).read_bytes()
    except OSError as error:
        raise DataError(f'The image {source} cannot be read: {error}.') from error
    digest.update(content)
    return len(content), digest.digest()


def survey(dataset: Sized) -> tuple[np.ndarray, np.ndarray]:
    """Keys and sizes of a data set's images, in one pass over its list.

    Returns:
        tuple[np.ndarray, np.ndarray]: (N,) uint64, as in a table, and (N,) int64
        bytes, -1 for a file that is not there.
    """
    keys = np.empty(len(dataset), np.uint64)
    sizes = np.empty(len(dataset), np.int64)
    for index, (name, source) in enumerate(list_images_of(dataset)):
        if name:
            sizes[index], digest = _file_size(source), b''
        else:
            sizes[index], digest = content_hash(source)
        keys[index] = image_key(name, digest)
    return keys, sizes


def find_keys(wanted: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Where keys lie among others.

    Args:
        wanted: (M,).
        keys: (N,); of equal ones, the first is found.

    Returns:
        np.ndarray: (M,) int64 in [0, N), -1 where there is none.
    """
    if not len(keys):
        return np.full(len(wanted), -1)
    order = np.argsort(keys, kind='stable')
    ordered = keys[order]
    places = np.minimum(np.searchsorted(ordered, wanted), len(keys) - 1)
    return np.where(ordered[places] == wanted, order[places], -1)


def _file_size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1

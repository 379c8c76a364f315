"""The images of a dataset, with names that do not depend on where its folder is."""

import hashlib
from collections.abc import Callable, Iterator, Sized
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmlgd.errors import ConfigError, DataError

from .dataset_wrapper import DatasetWrapper, find_wrapper

#: Bytes of the hash of an image's content.
HASH_BYTES = 16


class ListedImage(NamedTuple):
    """One image of a dataset, before its pipeline.

    Attributes:
        name (str): Path below the dataset's folder; '' for one in memory.
        source (str | np.ndarray | Callable): Path of the file; the pixels; or a function
            that returns the encoded image, for one in a shard.
    """

    name: str
    source: str | np.ndarray | Callable[[], bytes]

    def content_hash(self) -> bytes:
        """BLAKE2b of 16 bytes, of the file, or of dtype, shape and pixels.

        Raises:
            DataError: The file or shard cannot be read.
        """
        digest = hashlib.blake2b(digest_size=HASH_BYTES)
        if isinstance(self.source, np.ndarray):
            digest.update(f'{self.source.dtype}{self.source.shape}'.encode())
            digest.update(np.ascontiguousarray(self.source).data)
        elif callable(self.source):
            digest.update(self.source())
        else:
            try:
                digest.update(Path(self.source).read_bytes())
            except OSError as error:
                raise DataError(
                    f'The image {ascii(self.source)} cannot be read: {error}.'
                ) from error
        return digest.digest()

    def key(self) -> bytes:
        """By what the image is known: the bytes of its name, or its content's hash."""
        if self.name:
            return encode_name(self.name)
        return f'pixels {self.content_hash().hex()}'.encode()


def list_image(dataset: Sized, index: int) -> ListedImage:
    """Image ``index`` of a dataset.

    Args:
        dataset (Sized): A dataset with ``get_data_info``, as in mmengine.
        index (int): In [0, N).

    Raises:
        ConfigError: The dataset provides neither path nor pixels.
    """
    info = dataset.get_data_info(index) if hasattr(dataset, 'get_data_info') else {}
    if info.get('img_path') is not None:
        path = str(info['img_path'])
        name = path.removeprefix(_folder(dataset)).lstrip('/')
        shards = find_wrapper(dataset, 'read_image')
        return ListedImage(
            name, path if shards is None else partial(shards.read_image, index)
        )
    if isinstance(info.get('img'), np.ndarray):
        return ListedImage('', np.ascontiguousarray(info['img']))
    raise ConfigError(
        f'{type(dataset).__name__} provides neither img_path nor img of image {index}, so '
        'files built for its images cannot be checked against them; use UnlabeledImages '
        'or another dataset of mmengine.'
    )


def list_images_of(dataset: Sized) -> Iterator[ListedImage]:
    """All images of a dataset in their order; see :func:`list_image`.

    Datasets with a method ``image_paths`` read their names in blocks, which takes about a
    microsecond for each image.
    """
    inner: Any = dataset
    while isinstance(inner, DatasetWrapper):
        inner = inner.dataset
    if not hasattr(inner, 'image_paths'):
        return (list_image(dataset, index) for index in range(len(dataset)))
    folder, read = _folder(inner), getattr(inner, 'read_image', None)
    return (
        ListedImage(
            path.removeprefix(folder).lstrip('/'),
            path if read is None else partial(read, index),
        )
        for index, path in enumerate(inner.image_paths())
    )


def encode_name(name: str) -> bytes:
    """The bytes of a path; names that are not UTF-8 reach Python as surrogates."""
    return name.encode('utf-8', 'surrogateescape')


def show_name(name: bytes) -> str:
    """The bytes of a path for people, whatever their encoding is."""
    return name.decode('utf-8', 'backslashreplace')


def _folder(dataset: Sized) -> str:
    images = find_wrapper(dataset, 'data_prefix')
    return str(getattr(images, 'data_prefix', {}).get('img_path', ''))

"""Reading of images in various forms as BGR arrays, as mmcv reads them."""

import os
from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
import torch
from PIL import Image, ImageOps

from mmlgd.datasets.image_folder import list_images
from mmlgd.datasets.transforms.decoding import decode, over_white, read_file
from mmlgd.errors import ConfigError, DataError, MMLGDError

CHANNEL_ORDERS = ('bgr', 'rgb')


def iter_images(images: object, channel_order: str = 'bgr') -> Iterator[np.ndarray]:
    """Read one image or many, one at a time.

    The following are accepted, alone or mixed in a list, tuple or generator:

    - a path, or a URL (``https://...``), which is downloaded;
    - a folder, for all images in it and in its subfolders, sorted;
    - ``bytes`` of a file, or a file object opened in binary mode;
    - a PIL image, rotated according to its EXIF orientation;
    - a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), or a batch (B, H, W, C);
    - a uint8 tensor (3, H, W) or (1, H, W), RGB as in torchvision, or a batch
      (B, 3, H, W).

    Gray images are repeated over three channels. Transparent parts are shown over
    white, see :func:`~mmlgd.datasets.transforms.decoding.over_white`.

    Args:
        images (object): One of these, or an iterable of them.
        channel_order (str): 'bgr' or 'rgb', for arrays only. Defaults to 'bgr', as in
            mmcv, OpenCV and mmpretrain.

    Yields:
        np.ndarray: uint8 (H, W, 3), BGR, contiguous.

    Raises:
        ConfigError: An unknown channel order, or a value that is not an image.
        DataError: A file is missing, empty, truncated or not an image; or the dtype or
            shape of an array or tensor is not that of an image.
    """
    if channel_order not in CHANNEL_ORDERS:
        raise ConfigError(
            f'channel_order is {channel_order!r}, but must be one of {CHANNEL_ORDERS}.'
        )
    if not _is_single(images):
        for number, image in enumerate(cast(Iterable, images)):
            if isinstance(image, (list, tuple)):
                raise ConfigError(f'image {number} is a list: give one flat list.')
            yield from _read(image, channel_order, f'image {number}')
    else:
        yield from _read(images, channel_order, 'the image')


def list_inputs(images: object) -> list:
    """One entry for each image, without reading any.

    Args:
        images (object): See :func:`iter_images`.

    Returns:
        list: Folders are replaced by the paths of their images, and batches of arrays or
        tensors by their images.

    Raises:
        ConfigError: A value is not an image.
        DataError: A folder has no images.
    """
    found: list = []
    for image in [images] if _is_single(images) else cast(Iterable, images):
        if isinstance(image, str | os.PathLike):
            path = os.path.expanduser(os.fspath(image))
            is_folder = '://' not in path and '\0' not in path and os.path.isdir(path)
            found += list_images(path) if is_folder else [path]
        elif isinstance(image, np.ndarray | torch.Tensor) and image.ndim == 4:
            found += list(image)
        else:
            found.append(image)
    return found


def _is_single(images: object) -> bool:
    if (
        isinstance(images, np.ndarray)
        and images.ndim == 1
        and images.dtype.kind in 'OU'
    ):
        return False  # paths, such as a column of a table
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, np.ndarray, torch.Tensor)
    if isinstance(images, (*kinds, Image.Image)) or hasattr(images, 'read'):
        return True
    if not isinstance(images, Iterable) or isinstance(images, (dict, set, frozenset)):
        raise ConfigError(
            f'a {type(images).__name__} is not an image; give a path, an array, a PIL '
            'image, or a list of them.'
        )
    return False


def _read(image: object, order: str, name: str) -> Iterator[np.ndarray]:
    if isinstance(image, (str, os.PathLike)):
        yield from _from_path(os.fspath(image))
    elif isinstance(image, (bytes, bytearray, memoryview)):
        yield _decode(bytes(image), name)
    elif isinstance(image, Image.Image):
        yield _from_pillow(image, name)
    elif isinstance(image, torch.Tensor):
        yield from _from_tensor(image, name)
    elif isinstance(image, np.ndarray):
        # numpy crashes if a np.matrix gets a third axis.
        array: np.ndarray = np.asarray(image)
        for each in array if array.ndim == 4 else [array]:
            yield _from_array(each, order, name)
    elif hasattr(image, 'read'):
        yield _from_stream(image, name)
    else:
        raise ConfigError(
            f'{name} is a {type(image).__name__}, not an image; give a path, an array, a '
            'PIL image, bytes or a file object.'
        )


def _from_path(path: str | bytes) -> Iterator[np.ndarray]:
    path = os.fsdecode(path)
    is_url = '://' in path
    path = path if is_url or '\0' in path else os.path.expanduser(path)
    if not is_url and ('\0' in path or not os.path.exists(path)):
        raise DataError(f'The image file {path!r} does not exist; check the path.')
    is_folder = not is_url and os.path.isdir(path)
    for each in list_images(path) if is_folder else [path]:
        try:
            data = read_file(each)
        except MMLGDError:
            raise
        except Exception as error:  # unknown URL scheme, or missing library
            raise DataError(
                f'{each} cannot be read ({error}); check the URL, or save the image and '
                'give its path.'
            ) from error
        yield decode(data, each)


def _from_stream(stream: Any, name: str) -> np.ndarray:
    name = str(getattr(stream, 'name', name))
    try:
        data = stream.read()
    except Exception as error:  # closed, not readable, or undecodable text
        raise DataError(f'{name} cannot be read: {error}') from error
    if not isinstance(data, bytes):
        raise DataError(f"{name} is opened as text; open it in binary mode, 'rb'.")
    return _decode(data, name)


def _decode(data: bytes, name: str) -> np.ndarray:
    if not data:
        raise DataError(f'{name} is empty (or was already read to its end).')
    return decode(data, name)


def _from_pillow(image: Image.Image, name: str) -> np.ndarray:
    try:
        upright = ImageOps.exif_transpose(image)
        if image.mode.startswith('I;16'):  # as for such a file
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        elif image.mode in ('I', 'F'):
            raise ValueError(
                f'values of mode {image.mode!r} have no fixed range; scale them to 0 to '
                "255 and convert the image to mode 'L'"
            )
        rgb = np.asarray(over_white(upright))
    except Exception as error:  # read lazily: truncated, closed or damaged
        name = getattr(image, 'filename', '') or name
        raise DataError(f'The PIL image {name} cannot be used: {error}') from error
    return _from_array(rgb, 'rgb', name)


def _from_tensor(tensor: torch.Tensor, name: str) -> Iterator[np.ndarray]:
    if tensor.dtype != torch.uint8 or tensor.dim() not in (3, 4):
        raise DataError(
            f'{name} is a tensor {tensor.dtype} {tuple(tensor.shape)}; images are uint8 '
            '(3, H, W) or (B, 3, H, W), RGB: (255 * x).round().to(torch.uint8) for values '
            'of 0 to 1.'
        )
    batch = tensor if tensor.dim() == 4 else tensor[None]
    try:
        images = batch.permute(0, 2, 3, 1).cpu().numpy()
    except Exception as error:  # sparse, or on the device 'meta'
        raise DataError(f'{name} is a tensor without plain values: {error}') from error
    for each in images:
        yield _from_array(each, 'rgb', name)


def _from_array(array: np.ndarray, order: str, name: str) -> np.ndarray:
    if array.dtype != np.uint8:
        raise DataError(
            f'{name} is an array of {array.dtype}; images are uint8, 0 to 255: '
            "(255 * x).round().astype('uint8') for values of 0 to 1."
        )
    planes = array[..., None] if array.ndim == 2 else array
    if planes.ndim != 3 or planes.shape[2] not in (1, 3, 4) or not planes.size:
        raise DataError(
            f'{name} has the shape {array.shape}, but an image is (H, W), (H, W, 1), '
            '(H, W, 3) or (H, W, 4).'
        )
    if planes.shape[2] == 1:
        planes = planes.repeat(3, axis=2)
    if planes.shape[2] == 4:  # the order of the colours does not matter
        planes = np.asarray(over_white(Image.fromarray(planes)))
    return np.ascontiguousarray(planes[..., ::-1] if order == 'rgb' else planes)

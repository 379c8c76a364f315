"""Decoding images from their files' bytes."""

import io

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from mmlgd.errors import DataError

#: What libjpeg can divide both sides by while it decodes, to OpenCV's flag; largest
#: first. It then computes fewer values of each block of 8 x 8.
REDUCTIONS = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
_ORIENTATION = 0x0112
# EXIF's orientations that exchange width and height.
_TRANSPOSED = (5, 6, 7, 8)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Read a JPEG's size from its header, without decoding it.

    Args:
        data: A file's content, of any format.

    Returns:
        tuple[int, int] or None: (H, W) as :func:`decode` will orient the image; None
        where Pillow sees no JPEG.
    """
    try:
        image = Image.open(io.BytesIO(data))
        if image.format != 'JPEG':
            return None
        is_transposed = 'exif' in image.info and _is_transposed(image.info['exif'])
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ):
        return None
    return image.size if is_transposed else image.size[::-1]


def _is_transposed(data: bytes) -> bool:
    # Not `image.getexif()`: that also heeds XMP, which OpenCV does not.
    exif = Image.Exif()
    exif.load(data)
    return exif.get(_ORIENTATION) in _TRANSPOSED


def decode(data: bytes, path: str, reduction: int = 1) -> np.ndarray:
    """Decode an image by OpenCV, as mmcv's ``LoadImageFromFile`` does.

    Args:
        data: A file's content.
        path: Where it is from, for the error.
        reduction: One of :data:`REDUCTIONS`; both sides are divided by it, rounded
            up. Only JPEG gets cheaper. Defaults to 1.

    Returns:
        ndarray: uint8 BGR (H, W, 3), turned as EXIF says.

    Raises:
        DataError: It is no image that OpenCV can decode.
    """
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), REDUCTIONS[reduction])
    except cv2.error as error:
        raise DataError(f'{path} does not decode: {error}') from error
    if image is None:
        raise DataError(
            f'{path} does not decode: it is damaged, empty or of a format that OpenCV '
            'cannot read; repair or remove it.'
        )
    return image

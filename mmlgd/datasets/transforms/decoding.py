"""Decoding images from their files' bytes."""

import struct

import cv2
import numpy as np
from PIL import Image

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
_APP1 = 0xE1
# Starts of a frame, of any kind of coding.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# EXIF's orientations that exchange width and height.
_TRANSPOSED = (5, 6, 7, 8)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Read a JPEG's size from its header, without decoding it.

    Pillow could tell it, in a twentieth of the time that a whole view takes; walking
    over the segments costs next to nothing.

    Args:
        data: A file's content, of any format.

    Returns:
        tuple[int, int] or None: (H, W) as :func:`decode` will orient the image; None
        where it is no JPEG with a plain header.
    """
    if not data.startswith(b'\xff\xd8'):
        return None
    place, exif = 2, b''
    while len(data) > place + 8 and data[place] == 0xFF:
        marker = data[place + 1]
        (length,) = struct.unpack_from('>H', data, place + 2)
        segment = data[place + 4 : place + 2 + length]
        if marker == _APP1 and segment.startswith(b'Exif\x00\x00'):
            exif = segment
        if marker in _FRAMES:
            height, width = struct.unpack_from('>HH', data, place + 5)
            return (width, height) if _is_transposed(exif) else (height, width)
        place += 2 + length
    return None


def _is_transposed(exif: bytes) -> bool:
    if not exif:
        return False
    found = Image.Exif()
    try:
        found.load(exif)
        return found.get(_ORIENTATION) in _TRANSPOSED
    except Exception:  # whatever damage does to it: OpenCV overlooks such a header
        return False


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

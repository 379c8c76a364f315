"""Reading and decoding image files.

JPEGs of one or three components are decoded by OpenCV, everything else by Pillow. OpenCV
is faster for JPEG, but gives wrong colours without an error for some other files: those
of floats, those with an alpha channel in TIFF, and those in Lab.
"""

import io
import struct
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from mmengine.fileio import get_file_backend
from PIL import Image, ImageFile, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from mmlgd.errors import ImageReadError
from mmlgd.utils.printable import printable

#: What libjpeg can divide both sides by while it decodes, to OpenCV's flag; largest
#: first. It then computes fewer values of each block of 8 x 8.
REDUCTIONS = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
#: Formats that Pillow may take a file for, by content. Others are refused, such as
#: EPS, for which it starts another program.
FORMATS = (
    'AVIF',
    'BMP',
    'GIF',
    'JPEG',
    'JPEG2000',
    'MPO',
    'PNG',
    'PPM',
    'TIFF',
    'WEBP',
)
_ORIENTATION = 0x0112
_APP1 = 0xE1
_END_OF_IMAGE = b'\xff\xd9'
# Starts of a frame, of any kind of coding.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# EXIF's orientations that exchange width and height.
_TRANSPOSED = (5, 6, 7, 8)
# Pillow's modes with 8 bits a channel, which it converts to RGB as they are meant.
_EIGHT_BITS = {'1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr'}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _BLACK_IS_ZERO = 258, 262, 1


class _Frame(NamedTuple):
    """Header of a JPEG that OpenCV decodes: its (H, W) as stored, its place, EXIF."""

    size: tuple[int, int]
    place: int
    exif: bytes


def read_file(path: str, backend_args: dict | None = None) -> bytes:
    """Read a file by mmengine's file backend.

    Args:
        path: Local path, or one that the backend knows.
        backend_args: Options of the backend. Defaults to None.

    Raises:
        ImageReadError: The file is missing, cannot be read, or is empty. Wrong options
            of the backend raise their own errors.
    """
    backend = get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    try:
        data = backend.get(path)
    except MemoryError:
        raise
    except Exception as error:  # those of any storage client
        reason = printable(f'{type(error).__name__}: {error}')
        raise ImageReadError(f'{printable(path)} cannot be read: {reason}') from error
    if not data:
        raise ImageReadError(f'{printable(path)} is empty (0 bytes).')
    return data


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Read a JPEG's size from its header, without decoding it.

    Pillow could read it, in a twentieth of the time that a whole view takes; walking
    over the segments costs next to nothing.

    Args:
        data: A file's content, of any format.

    Returns:
        tuple[int, int] or None: (H, W) as :func:`decode` will orient the image; None
        where it is not a JPEG with a plain header and one or three components.
    """
    frame = _jpeg_frame(data)
    if frame is None:
        return None
    return frame.size[::-1] if _is_transposed(frame.exif) else frame.size


def decode(data: bytes, path: str, reduction: int = 1) -> np.ndarray:
    """Decode an image to 8 bits a channel.

    The orientation of EXIF is applied. Transparency is ignored, as by Pillow's
    ``convert('RGB')``. Of 16 bits the upper 8 are kept. Of several frames or pages the
    first is taken. ICC profiles are ignored.

    Args:
        data: A file's content.
        path: Where it is from, for the error.
        reduction: One of :data:`REDUCTIONS`; both sides are divided by it, rounded
            up. Only where :func:`jpeg_size` knows the size. Defaults to 1.

    Returns:
        ndarray: uint8 BGR (H, W, 3).

    Raises:
        ImageReadError: It is damaged, incomplete, of another format, has more pixels
            than twice ``PIL.Image.MAX_IMAGE_PIXELS``, or has values without a known
            range (floats, 32 bits, Lab).
    """
    frame = _jpeg_frame(data)
    if frame is None:
        return _decode_by_pillow(data, path)
    height, width = frame.size
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and height * width > 2 * limit:
        raise _broken(path, f'{width} x {height} pixels are more than {2 * limit}')
    # OpenCV fills up some files that are cut off with gray, without an error. Behind
    # the frame's header, as the thumbnail before it has an end of its own.
    complete = data.endswith(_END_OF_IMAGE)
    if not complete and data.rfind(_END_OF_IMAGE, frame.place) < 0:
        raise _broken(path, 'the end of the file is missing')
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), REDUCTIONS[reduction])
    except cv2.error as error:
        raise _broken(path, str(error)) from error
    if image is None:
        raise _broken(path, 'the JPEG is damaged')
    return image


def _jpeg_frame(data: bytes) -> _Frame | None:
    if not data.startswith(b'\xff\xd8'):
        return None
    place, exif = 2, b''
    while len(data) > place + 9 and data[place] == 0xFF:
        marker = data[place + 1]
        (length,) = struct.unpack_from('>H', data, place + 2)
        if marker in _FRAMES:
            bits, height, width, components = struct.unpack_from(
                '>BHHB', data, place + 4
            )
            plain = bits == 8 and components in (1, 3) and height and width
            return _Frame((height, width), place, exif) if plain else None
        segment = data[place + 4 : place + 2 + length]
        if marker == _APP1 and segment.startswith(b'Exif\x00\x00'):
            exif = segment
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


def _decode_by_pillow(data: bytes, path: str) -> np.ndarray:
    # Other libraries set it for the whole process; what is cut off would be black.
    allowed, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        with Image.open(io.BytesIO(data), formats=_known_formats()) as image:
            sixteen_bits = _check_values(image)
            # With it, Pillow warns of each palette.
            image.info.pop('transparency', None)
            upright = ImageOps.exif_transpose(image)
            if sixteen_bits:
                # Pillow's own conversion cuts off at 255.
                upper = (np.asarray(upright) >> 8).astype(np.uint8)
                return cv2.cvtColor(upper, cv2.COLOR_GRAY2BGR)
            return cv2.cvtColor(np.asarray(upright.convert('RGB')), cv2.COLOR_RGB2BGR)
    except MemoryError:
        raise
    except Image.UnidentifiedImageError as error:
        reason = 'it is damaged, or not in a format that is read here'
        raise _broken(path, reason) from error
    except Exception as error:  # damage can raise nearly any error in a decoder
        raise _broken(path, f'{type(error).__name__}: {error}') from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = allowed


def _check_values(image: Image.Image) -> bool:
    """Whether an image has 16 bits, from 0, black, to 65535, white; else it has 8.

    Raises:
        ValueError: The range or the meaning of its values is unknown.
    """
    if image.mode in _EIGHT_BITS:
        return False
    known = image.mode.startswith('I;16')
    if isinstance(image, TiffImageFile):
        known &= image.tag_v2.get(_BITS_PER_SAMPLE) == (16,)
        known &= image.tag_v2.get(_PHOTOMETRIC) == _BLACK_IS_ZERO
    # Pillow holds 16-bit PGMs in 32 bits, and before release 11 PNGs, too.
    if known or (image.mode == 'I' and image.format in ('PNG', 'PPM')):
        return True
    raise ValueError(
        f"Pillow's mode {image.mode!r} of this {image.format} has no known range of "
        'values; convert it to 8 bits a channel'
    )


@cache
def _known_formats() -> tuple[str, ...]:
    # Older releases, and builds without a library, do not have them all.
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _broken(path: str, reason: str) -> ImageReadError:
    return ImageReadError(
        f'{printable(path)} does not decode: {printable(reason)}. Repair or remove it.'
    )

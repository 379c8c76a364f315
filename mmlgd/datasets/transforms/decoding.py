"""Reading and decoding of image files.

JPEGs with one or three components are decoded by OpenCV, all other files by Pillow.
OpenCV is faster for JPEG, but returns wrong colours without an error for some other
files: those with floats, TIFFs with an alpha channel, and those in Lab.
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

#: Factor by which libjpeg divides both sides while decoding, to OpenCV's flag; largest
#: first. Fewer values of each 8 x 8 block are then computed.
REDUCTIONS = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
#: Formats that Pillow may detect. Others are refused, such as EPS, for which it starts
#: another program.
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
# Markers that start a frame, for all kinds of coding.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# EXIF orientations that swap width and height.
_TRANSPOSED = (5, 6, 7, 8)
# Pillow's modes with 8 bits per channel, which it converts to RGB correctly.
_EIGHT_BITS = {'1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr'}
_WITH_ALPHA = ('LA', 'PA', 'RGBA')
_BITS_PER_SAMPLE, _PHOTOMETRIC, _BLACK_IS_ZERO = 258, 262, 1


class _Frame(NamedTuple):
    """Header of a JPEG that OpenCV decodes: (H, W) as stored, offset, EXIF."""

    size: tuple[int, int]
    offset: int
    exif: bytes


def read_file(path: str, backend_args: dict | None = None) -> bytes:
    """Read a file through mmengine's file backend.

    Args:
        path: Local path, or one of the backend.
        backend_args: Options of the backend. Defaults to None.

    Raises:
        ImageReadError: The file is missing, cannot be read, or is empty. Invalid options
            of the backend raise other errors.
    """
    backend = get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    try:
        data = backend.get(path)
    except MemoryError:
        raise
    except Exception as error:  # depends on the storage client
        reason = printable(f'{type(error).__name__}: {error}')
        raise ImageReadError(f'{printable(path)} cannot be read: {reason}') from error
    if not data:
        raise ImageReadError(f'{printable(path)} is empty (0 bytes).')
    return data


def read_encoded(results: dict, backend_args: dict | None = None) -> bytes:
    """The encoded image of a sample: its ``img_bytes``, or the file ``img_path``.

    Args:
        results: A sample with ``img_path``. Datasets whose images are not files also set
            ``img_bytes``.
        backend_args: As for :func:`read_file`. Defaults to None.

    Raises:
        ImageReadError: As :func:`read_file`.
    """
    path = results['img_path']
    data = results.get('img_bytes')
    if data is None:
        return read_file(path, backend_args)
    if not data:
        raise ImageReadError(f'{printable(path)} is empty (0 bytes).')
    return data


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Read the size of a JPEG from its header, without decoding it.

    Pillow would need a twentieth of the time of a whole view for this; iterating over
    the segments takes almost none.

    Args:
        data: Contents of a file, of any format.

    Returns:
        tuple[int, int] or None: (H, W) after the orientation by :func:`decode`; None
        if it is not a JPEG with a regular header and one or three components.
    """
    frame = _jpeg_frame(data)
    if frame is None:
        return None
    return frame.size[::-1] if _is_transposed(frame.exif) else frame.size


def decode(data: bytes, path: str, reduction: int = 1) -> np.ndarray:
    """Decode an image to 8 bits per channel.

    The EXIF orientation is applied. Transparent parts are shown over white, see
    :func:`over_white`. The upper 8 of 16 bits are kept. Of several frames or pages, the
    first is decoded. ICC profiles are ignored.

    Args:
        data: Contents of a file.
        path: Path of the file, for messages.
        reduction: One of :data:`REDUCTIONS`. Both sides are divided by it and rounded
            up. Only for files whose size :func:`jpeg_size` returns. Defaults to 1.

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
    # OpenCV fills some truncated files with gray, without an error. The search starts
    # after the frame header, since an embedded thumbnail has its own end marker.
    complete = data.endswith(_END_OF_IMAGE)
    if not complete and data.rfind(_END_OF_IMAGE, frame.offset) < 0:
        raise _broken(path, 'the end of the file is missing')
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), REDUCTIONS[reduction])
    except cv2.error as error:
        raise _broken(path, str(error)) from error
    if image is None:
        raise _broken(path, 'the JPEG is damaged')
    return image


def over_white(image: Image.Image) -> Image.Image:
    """Convert an image with 8 bits per channel to RGB, as it looks on a white page.

    The colour of a transparent pixel is arbitrary, and black in most files. Without its
    transparency, a black drawing on a transparent ground would be a black square.

    Args:
        image: Of any mode that Pillow converts to RGB. If it is transparent everywhere,
            its transparency is ignored, since nothing would be left.
    """
    has_alpha = image.mode in _WITH_ALPHA or 'transparency' in image.info
    if not has_alpha:
        return image.convert('RGB')
    colours = image.convert('RGBA')
    if colours.getchannel('A').getextrema()[1] == 0:
        return colours.convert('RGB')
    white = Image.new('RGBA', image.size, 'white')
    return Image.alpha_composite(white, colours).convert('RGB')


def _jpeg_frame(data: bytes) -> _Frame | None:
    if not data.startswith(b'\xff\xd8'):
        return None
    offset, exif = 2, b''
    while len(data) > offset + 9 and data[offset] == 0xFF:
        marker = data[offset + 1]
        (length,) = struct.unpack_from('>H', data, offset + 2)
        if marker in _FRAMES:
            bits, height, width, components = struct.unpack_from(
                '>BHHB', data, offset + 4
            )
            plain = bits == 8 and components in (1, 3) and height and width
            return _Frame((height, width), offset, exif) if plain else None
        segment = data[offset + 4 : offset + 2 + length]
        if marker == _APP1 and segment.startswith(b'Exif\x00\x00'):
            exif = segment
        offset += 2 + length
    return None


def _is_transposed(exif: bytes) -> bool:
    if not exif:
        return False
    found = Image.Exif()
    try:
        found.load(exif)
        return found.get(_ORIENTATION) in _TRANSPOSED
    except Exception:  # damaged EXIF, which OpenCV ignores as well
        return False


def _decode_by_pillow(data: bytes, path: str) -> np.ndarray:
    # Other libraries set it for the whole process; missing parts would be black.
    allowed, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        with Image.open(io.BytesIO(data), formats=_known_formats()) as image:
            sixteen_bits = _check_values(image)
            upright = ImageOps.exif_transpose(image)
            if sixteen_bits:
                # Pillow's conversion clips at 255.
                upper = (np.asarray(upright) >> 8).astype(np.uint8)
                return cv2.cvtColor(upper, cv2.COLOR_GRAY2BGR)
            return cv2.cvtColor(np.asarray(over_white(upright)), cv2.COLOR_RGB2BGR)
    except MemoryError:
        raise
    except Image.UnidentifiedImageError as error:
        reason = 'it is damaged, or not in a supported format'
        raise _broken(path, reason) from error
    except Exception as error:  # a damaged file can raise nearly any error in a decoder
        raise _broken(path, f'{type(error).__name__}: {error}') from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = allowed


def _check_values(image: Image.Image) -> bool:
    """Whether an image has 16 bits, with 0 as black and 65535 as white, instead of 8.

    Raises:
        ValueError: The range or the meaning of its values is unknown.
    """
    if image.mode in _EIGHT_BITS:
        return False
    known = image.mode.startswith('I;16')
    if isinstance(image, TiffImageFile):
        known &= image.tag_v2.get(_BITS_PER_SAMPLE) == (16,)
        known &= image.tag_v2.get(_PHOTOMETRIC) == _BLACK_IS_ZERO
    # Pillow stores 16-bit PGMs in 32 bits; before release 11, also 16-bit PNGs.
    if known or (image.mode == 'I' and image.format in ('PNG', 'PPM')):
        return True
    raise ValueError(
        f"Pillow's mode {image.mode!r} of this {image.format} has no known range of "
        'values; convert it to 8 bits per channel'
    )


@cache
def _known_formats() -> tuple[str, ...]:
    # Older releases, and builds without some libraries, do not support all of them.
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _broken(path: str, reason: str) -> ImageReadError:
    return ImageReadError(
        f'{printable(path)} cannot be decoded: {printable(reason)}. Repair or remove it.'
    )

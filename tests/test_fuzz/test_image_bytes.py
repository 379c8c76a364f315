"""Damaged image files: pixels with the correct shape, or an mmlgd error."""

import io
from functools import cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmlgd.datasets.transforms.decoding import REDUCTIONS, decode, jpeg_size
from mmlgd.errors import ImageReadError

WIDTH, HEIGHT = 33, 20


def encode(mode, kind, **options):
    values = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    picture = Image.fromarray(values)
    if mode == 'I;16':
        picture = Image.fromarray(values[..., 0].astype(np.uint16) * 256)
    elif mode == 'F':
        picture = Image.fromarray(values[..., 0].astype(np.float32))
    else:
        picture = picture.convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def originals() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        encode('RGB', 'JPEG', quality=90, exif=exif),
        encode('RGB', 'JPEG', progressive=True, restart_marker_blocks=2),
        encode('L', 'JPEG'),
        encode('CMYK', 'JPEG'),
        *(encode(mode, 'PNG') for mode in ('1', 'P', 'LA', 'RGBA', 'I;16')),
        encode('RGB', 'PNG', exif=exif),
        encode('RGB', 'WEBP', lossless=True),
        encode('RGBA', 'WEBP', quality=50),
        *(encode(mode, 'TIFF') for mode in ('1', 'P', 'RGBA', 'CMYK', 'I;16', 'F')),
        *(
            encode('RGB', 'TIFF', compression=f'tiff_{kind}', exif=exif)
            for kind in ('lzw', 'deflate', 'jpeg')
        ),
        *(encode(mode, 'BMP') for mode in ('1', 'P', 'RGB')),
        encode('RGB', 'PPM'),
        encode('P', 'GIF'),
    ]


@st.composite
def damaged(draw) -> bytes:
    data = bytearray(draw(st.sampled_from(originals())))
    header = st.integers(0, min(len(data), 80) - 1)
    anywhere = st.integers(0, len(data) - 1)
    for _ in range(draw(st.integers(0, 6))):
        data[draw(header | anywhere)] = draw(
            st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
        )
    if draw(st.booleans()):
        start = draw(anywhere)
        end = start + draw(st.integers(0, 40))
        data[start:end] = draw(st.binary(max_size=40))
    if draw(st.booleans()):
        del data[draw(anywhere) :]
        data += bytes(draw(st.sampled_from([0, 2, 1000])))
    return bytes(data)


@given(damaged() | st.binary(max_size=200), st.sampled_from(list(REDUCTIONS)))
def test_pixels_or_our_error(data, reduction):
    size = jpeg_size(data)
    try:
        image = decode(data, 'damaged.jpg', reduction if size else 1)
    except ImageReadError as error:
        assert 'damaged.jpg' in str(error)
        str(error).encode('utf-8')
        return
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert image.flags.c_contiguous and image.size
    if size:
        # OpenCV reads the orientation even where EXIF's signature is damaged.
        wanted = tuple(-(-side // reduction) for side in size)
        assert image.shape[:2] in (wanted, wanted[::-1])


@given(st.sampled_from(originals()))
def test_undamaged_files_are_read_or_refused_for_their_kind(data):
    try:
        image = decode(data, 'whole')
    except ImageReadError as error:
        # The one of floats.
        assert "'F'" in str(error)
    else:
        assert image.shape[:2] in {(HEIGHT, WIDTH), (WIDTH, HEIGHT)}

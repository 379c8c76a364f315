"""Image headers, and the decoded images."""

import io

import numpy as np
import pytest
from PIL import Image

from mmlgd.datasets.transforms.decoding import decode, jpeg_size


def encode(picture, kind='JPEG', **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize('size', [(31, 17), (16, 64), (1, 1), (45, 45)])
@pytest.mark.parametrize('reduction', [1, 2, 4, 8])
@pytest.mark.parametrize('tag', [1, 3, 6])
def test_header_has_the_size_that_decoding_gives(size, reduction, tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    data = encode(Image.new('RGB', size, 'green'), exif=exif)

    shape = decode(data, 'here', reduction).shape

    wanted = size if tag == 6 else size[::-1]
    assert jpeg_size(data) == wanted
    assert shape == (*(-(-side // reduction) for side in wanted), 3)


def test_orientation_of_xmp_is_left_out_as_opencv_leaves_it():
    xmp = (
        b'http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF>'
        b'</x:xmpmeta>'
    )
    data = encode(Image.new('RGB', (30, 20)))
    segment = b'\xff\xe1' + (len(xmp) + 2).to_bytes(2, 'big') + xmp
    data = data[:2] + segment + data[2:]

    assert Image.open(io.BytesIO(data)).getexif().get(0x0112) == 6
    assert jpeg_size(data) == decode(data, 'here').shape[:2] == (20, 30)


def test_size_is_not_that_of_a_thumbnail_in_the_header():
    thumbnail = encode(Image.new('RGB', (8, 6)))
    data = encode(Image.new('RGB', (30, 20)), comment=thumbnail, progressive=True)

    assert jpeg_size(data) == (20, 30)


def test_tables_may_stand_before_the_frame():
    data = encode(Image.new('RGB', (30, 20)))
    place = data.index(b'\xff\xc4')
    length = int.from_bytes(data[place + 2 : place + 4], 'big') + 2
    table = data[place : place + length]
    data = data[:2] + table + data[2:place] + data[place + length :]

    assert jpeg_size(data) == decode(data, 'here').shape[:2] == (20, 30)


@pytest.mark.parametrize('kind', ['PNG', 'WEBP', 'BMP', 'GIF'])
def test_other_formats_have_no_jpegs_size(kind):
    assert jpeg_size(encode(Image.new('RGB', (30, 20)), kind)) is None


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'x',
        b'\xff\xd8',
        b'\xff\xd8\xff\xe1\x00\x00',
        b'\xff\xd8' + 64 * b'\xff\xe1',
    ],
)
def test_non_images_have_no_size(data):
    assert jpeg_size(data) is None


def test_damaged_exif_is_ignored():
    data = encode(Image.new('RGB', (30, 20)), exif=b'Exif\x00\x00damaged')

    assert jpeg_size(data) == (20, 30)
    assert decode(data, 'here').shape == (20, 30, 3)


def test_colours_come_as_bgr():
    data = encode(Image.new('RGB', (8, 8), (250, 120, 10)), quality=100)

    np.testing.assert_allclose(decode(data, 'here')[4, 4], (10, 120, 250), atol=3)

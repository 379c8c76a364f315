"""Files of every kind are decoded to the pixels that were written, or refused."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile
from PIL import Image, ImageCms, ImageFile

from mmlgd.datasets.transforms.decoding import decode
from mmlgd.errors import ImageReadError
from mmlgd.registry import TRANSFORMS
from tests.test_datasets.test_transforms.crops import crop_of


def encode(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def by_opencv(pixels, ending):
    return cv2.imencode(ending, pixels)[1].tobytes()


@pytest.fixture(scope='module')
def rgb():
    return np.random.default_rng(2).integers(0, 256, (12, 9, 3), np.uint8)


@pytest.fixture(scope='module')
def gray(rgb):
    return np.ascontiguousarray(rgb[..., 0])


def as_rgb(data):
    image = decode(data, 'here')
    assert image.dtype == np.uint8 and image.flags.c_contiguous
    return image[..., ::-1]


LOSSLESS = {
    'PNG': {},
    'BMP': {},
    'PPM': {},
    'TIFF': dict(compression='tiff_lzw'),
    'WEBP': dict(lossless=True, exact=True),
}


@pytest.mark.parametrize('kind', LOSSLESS)
def test_colours(rgb, kind):
    data = encode(Image.fromarray(rgb), kind, **LOSSLESS[kind])
    np.testing.assert_array_equal(as_rgb(data), rgb)


@pytest.mark.parametrize('kind', ['PNG', 'TIFF', 'WEBP'])
@pytest.mark.parametrize('gray_only', [False, True])
def test_transparent_parts_are_shown_over_white(rgb, gray, kind, gray_only):
    # OpenCV multiplies a TIFF's colours with it.
    alpha = gray[::-1].copy()
    picture = Image.fromarray(gray if gray_only else rgb)
    picture.putalpha(Image.fromarray(alpha))
    colours = np.repeat(gray[..., None], 3, 2) if gray_only else rgb
    share = alpha[..., None] / 255
    data = encode(picture, kind, **LOSSLESS[kind])
    np.testing.assert_allclose(
        as_rgb(data), share * colours + (1 - share) * 255, atol=1
    )


def test_a_black_drawing_on_a_transparent_ground_can_be_seen():
    # The colour below a transparent pixel is black in most files.
    drawing = np.zeros((4, 4, 4), np.uint8)
    drawing[1, :, 3] = 255
    pixels = as_rgb(encode(Image.fromarray(drawing), 'PNG'))
    assert (pixels[1] == 0).all() and (pixels[[0, 2, 3]] == 255).all()


def test_an_image_that_is_transparent_everywhere_keeps_its_colours(rgb):
    picture = Image.fromarray(rgb)
    picture.putalpha(0)
    np.testing.assert_array_equal(as_rgb(encode(picture, 'PNG')), rgb)


def test_transparent_colours_of_a_palette_are_shown_over_white(recwarn):
    picture = Image.new('P', (3, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50, 1, 2, 3])
    picture.putdata([0, 1, 2])
    data = encode(picture, 'PNG', transparency=b'\x00\x80')
    # 128 of 255 of the second colour, the rest white; the third is opaque.
    assert as_rgb(data).tolist() == [[[255] * 3, [227, 177, 152], [1, 2, 3]]]
    assert not recwarn.list


def test_a_transparent_colour_of_an_image_without_alpha_is_white():
    picture = Image.fromarray(np.array([[[9, 8, 7], [6, 5, 4]]], np.uint8))
    data = encode(picture, 'PNG', transparency=(9, 8, 7))
    assert as_rgb(data).tolist() == [[[255, 255, 255], [6, 5, 4]]]


@pytest.mark.parametrize('kind', ['PNG', 'TIFF', 'BMP', 'PPM'])
def test_one_bit(gray, kind):
    bits = gray > 127
    data = encode(Image.fromarray(bits), kind)
    np.testing.assert_array_equal(as_rgb(data)[..., 1], 255 * bits)


@pytest.mark.parametrize('kind', ['.png', '.tif', '.pgm'])
def test_sixteen_bits_gray_keep_the_upper_eight(gray, kind):
    # Pillow's convert('RGB') makes nearly all of it white.
    values = gray.astype(np.uint16) * 256 + 77
    pixels = as_rgb(by_opencv(values, kind))
    np.testing.assert_array_equal(pixels, np.repeat(gray[..., None], 3, 2))


@pytest.mark.parametrize('kind', ['.png', '.tif', '.ppm'])
def test_sixteen_bits_in_colour_keep_the_upper_eight(rgb, kind):
    values = rgb[..., ::-1].astype(np.uint16) * 256 + 77
    np.testing.assert_allclose(as_rgb(by_opencv(values, kind)), rgb, atol=1)


def test_sixteen_bits_are_turned_as_well(gray):
    exif = Image.Exif()
    exif[0x0112] = 6
    values = Image.fromarray(gray.astype(np.uint16) * 256)
    for kind in ('PNG', 'TIFF'):
        pixels = as_rgb(encode(values, kind, exif=exif))[..., 0]
        np.testing.assert_array_equal(pixels, np.rot90(gray, -1))


@pytest.mark.parametrize('kind', sorted(LOSSLESS.keys() - {'BMP', 'PPM'}))
@pytest.mark.parametrize('tag', range(1, 9))
def test_orientation_counts_in_every_format_that_has_one(rgb, kind, tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    stored = Image.fromarray(rgb)
    # What EXIF's standard says of each value.
    upright = {
        1: rgb,
        2: rgb[:, ::-1],
        3: rgb[::-1, ::-1],
        4: rgb[::-1],
        5: rgb.swapaxes(0, 1),
        6: np.rot90(rgb, -1),
        7: rgb[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(rgb),
    }[tag]
    data = encode(stored, kind, exif=exif, **LOSSLESS[kind])
    np.testing.assert_array_equal(as_rgb(data), upright)


@pytest.mark.parametrize('kind', ['GIF', 'PNG', 'WEBP', 'TIFF'])
def test_first_frame_or_page(kind):
    frames = [Image.new('RGB', (6, 5), colour) for colour in ('#c86432', 'blue')]
    options = LOSSLESS.get(kind, {})
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert (as_rgb(data) == (200, 100, 50)).all()


def test_cmyk_jpeg():
    ink = Image.new('CMYK', (8, 8), (0, 128, 255, 0))
    pixels = as_rgb(encode(ink, 'JPEG', quality=100))
    np.testing.assert_allclose(pixels, np.full_like(pixels, (255, 127, 0)), atol=3)


def lab(rgb):
    srgb, lab = ImageCms.createProfile('sRGB'), ImageCms.createProfile('LAB')
    picture = ImageCms.profileToProfile(
        Image.fromarray(rgb), srgb, lab, outputMode='LAB'
    )
    return encode(picture, 'TIFF')


def signed(gray):
    return encode(Image.fromarray(gray.astype(np.int32)), 'TIFF')


def white_is_zero(gray):
    data = bytearray(encode(Image.fromarray(gray.astype(np.uint16) * 256), 'TIFF'))
    entry = data.index(struct.pack('<HHI', 262, 3, 1))
    data[entry + 8 : entry + 10] = b'\0\0'
    return bytes(data)


REFUSED = {
    'float RGB TIFF': lambda rgb: by_opencv(rgb.astype(np.float32) / 255, '.tif'),
    'float gray TIFF': lambda rgb: encode(
        Image.fromarray(rgb[..., 0].astype(np.float32)), 'TIFF'
    ),
    'Lab TIFF': lab,
    '32-bit TIFF': lambda rgb: signed(rgb[..., 0]),
    '16-bit TIFF in reverse': lambda rgb: white_is_zero(rgb[..., 0]),
    'radiance': lambda rgb: by_opencv(rgb.astype(np.float32) / 255, '.hdr'),
    'SVG': lambda rgb: b'<svg xmlns="http://www.w3.org/2000/svg" width="9"/>',
    'EPS': lambda rgb: encode(Image.fromarray(rgb), 'EPS'),
    'PDF': lambda rgb: b'%PDF-1.4 no image',
    'HTML': lambda rgb: b'<!doctype html><title>404</title>',
}


@pytest.mark.parametrize('kind', REFUSED)
def test_files_with_ambiguous_pixels_are_refused(rgb, kind):
    with pytest.raises(ImageReadError, match=r'odd\.tif cannot be decoded'):
        decode(REFUSED[kind](rgb), 'odd.tif')


def png_header(width, height):
    body = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack('>I', 13) + body + struct.pack('>I', zlib.crc32(body))
    return b'\x89PNG\r\n\x1a\n' + chunk + struct.pack('>I', 4) + b'IDAT' + bytes(8)


def huge_jpeg(width, height):
    data = bytearray(encode(Image.new('RGB', (8, 8)), 'JPEG'))
    place = data.index(b'\xff\xc0')
    data[place + 5 : place + 9] = struct.pack('>HH', height, width)
    return bytes(data)


@pytest.mark.parametrize(
    'data', [png_header(100_000, 100_000), huge_jpeg(60000, 60000)]
)
@pytest.mark.parametrize('reduction', [1, 8])
def test_huge_dimensions_are_refused_before_allocation(data, reduction):
    with pytest.raises(ImageReadError, match='pixels'):
        decode(data, 'bomb.png', reduction)


def test_truncated_files_are_refused_even_if_pillow_allows_them(rgb, monkeypatch):
    # Libraries set this switch of Pillow's for the whole process.
    monkeypatch.setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', True)
    for kind in ('PNG', 'TIFF', 'BMP', 'WEBP'):
        large = Image.fromarray(np.tile(rgb, (20, 20, 1)))
        data = encode(large, kind, **LOSSLESS[kind])
        with pytest.raises(ImageReadError):
            decode(data[: len(data) // 2], 'cut.png')


def test_thumbnail_does_not_stand_for_the_end_of_a_jpeg(picture):
    thumbnail = encode(picture.resize((16, 12)), 'JPEG')
    data = encode(picture, 'JPEG', comment=thumbnail)
    cut = data[: len(data) // 2] + bytes(500)
    with pytest.raises(ImageReadError, match='end of the file is missing'):
        decode(cut, 'cut.jpg')


def test_data_after_the_end_of_a_jpeg_is_ignored(picture):
    # Cameras append videos and further pictures.
    data = encode(picture, 'JPEG')
    whole = decode(data, 'here')
    np.testing.assert_array_equal(decode(data + bytes(99) + b'video', 'here'), whole)


@pytest.mark.parametrize('name', ['picture.jpg', 'picture.png'])
def test_training_and_testing_read_the_same_pixels(picture, tmp_path, name):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / name
    picture.save(path, 'TIFF', exif=exif)
    load = TRANSFORMS.build(dict(type='LoadImageFromFile'))

    whole = load(dict(img_path=str(path)))

    wanted = np.rot90(np.asarray(picture), -1)[..., ::-1]
    np.testing.assert_array_equal(whole['img'], wanted)
    assert whole['img_shape'] == whole['ori_shape'] == (320, 240)
    crop = crop_of(str(path), scale=(320, 240), crop_ratio_range=(1, 1))
    box = crop['crop_box']
    assert crop['ori_shape'] == (320, 240)
    if box == (0, 0, 320, 240):
        np.testing.assert_array_equal(crop['img'], whole['img'])


def test_loading_keeps_mmcvs_options(rgb, tmp_path):
    path = tmp_path / 'picture.png'
    Image.fromarray(rgb).save(path)
    (tmp_path / 'broken.png').write_bytes(b'broken')
    for options in (
        dict(to_float32=True),
        dict(color_type='grayscale'),
        dict(imdecode_backend='pillow'),
    ):
        ours = TRANSFORMS.build(dict(type='LoadImageFromFile', **options))
        theirs = MMCVLoadImageFromFile(**options)
        image = ours(dict(img_path=str(path)))['img']
        wanted = theirs(dict(img_path=str(path)))['img']
        np.testing.assert_array_equal(image, wanted)
        assert image.dtype == wanted.dtype
    ours = TRANSFORMS.build(dict(type='LoadImageFromFile', ignore_empty=True))
    assert ours(dict(img_path=str(tmp_path / 'broken.png'))) is None

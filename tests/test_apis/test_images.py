import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmlgd.apis.images import iter_images
from mmlgd.errors import ConfigError, DataError, MMLGDError

# An image with three different channels, and the same in BGR.
RGB = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3
BGR = RGB[..., ::-1]


def only(images, **options):
    (image,) = iter_images(images, **options)
    assert image.dtype == np.uint8 and image.flags.c_contiguous
    return image


@pytest.fixture
def png(tmp_path):
    path = tmp_path / 'a b é.png'
    Image.fromarray(RGB).save(path)
    return path


def test_every_kind_of_one_image_gives_the_same_pixels(png, tmp_path):
    for image in (
        png,
        str(png),
        png.read_bytes(),
        bytearray(png.read_bytes()),
        memoryview(png.read_bytes()),
        io.BytesIO(png.read_bytes()),
        Image.open(png),
        Image.fromarray(RGB).convert('RGBA'),
        np.ascontiguousarray(BGR),
        BGR,  # not contiguous
        np.dstack([BGR, np.zeros((4, 6), np.uint8)]),  # transparent everywhere
        torch.from_numpy(RGB).permute(2, 0, 1),
    ):
        assert np.array_equal(only([image]), BGR), type(image)
        if isinstance(image, io.BytesIO):
            image.seek(0)
        assert np.array_equal(only(image), BGR), type(image)
    with png.open('rb') as file:
        assert np.array_equal(only(file), BGR)
    assert np.array_equal(only(RGB, channel_order='rgb'), BGR)
    # Only applies to arrays: a PIL image is RGB by definition.
    assert np.array_equal(only(Image.fromarray(RGB), channel_order='rgb'), BGR)


def test_gray_images_have_three_equal_channels(tmp_path):
    gray = RGB[..., 0].copy()
    wanted = np.repeat(gray[..., None], 3, axis=2)
    Image.fromarray(gray).save(tmp_path / 'gray.png')
    for image in (
        gray,
        gray[..., None],
        Image.fromarray(gray),
        Image.fromarray(gray).convert('LA'),
        tmp_path / 'gray.png',
        torch.from_numpy(gray)[None],
    ):
        assert np.array_equal(only(image), wanted), type(image)


def test_transparent_parts_are_white_in_files_pictures_and_arrays(tmp_path):
    rgba = np.array([[[1, 2, 3, 255], [4, 5, 6, 0]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / 'half.png')
    bgra = rgba[..., [2, 1, 0, 3]]
    wanted = [[[3, 2, 1], [255, 255, 255]]]
    for image in (tmp_path / 'half.png', Image.fromarray(rgba), bgra):
        assert only(image).tolist() == wanted, type(image)
    assert only(rgba, channel_order='rgb').tolist() == wanted


def test_sixteen_bits_are_read_from_pillow_as_from_the_file(tmp_path):
    deep = Image.fromarray(RGB[..., 0].astype(np.uint16) * 256 + 255)
    deep.save(tmp_path / 'deep.png')
    for image in (tmp_path / 'deep.png', deep, Image.open(tmp_path / 'deep.png')):
        assert np.array_equal(only(image)[..., 0], RGB[..., 0])


def test_many_images_in_their_order(png, tmp_path):
    folder = tmp_path / 'folder'
    (folder / 'sub').mkdir(parents=True)
    for number, name in enumerate(['b.png', 'a.png', 'sub/c.png']):
        cv2.imwrite(str(folder / name), np.full((2, 2, 3), number, np.uint8))
    (folder / 'notes.txt').write_text('not an image')
    values = [image[0, 0, 0] for image in iter_images(folder)]
    assert values == [1, 0, 2]
    mixed = [BGR, folder, png, Image.fromarray(RGB)]
    for images in (mixed, tuple(mixed), iter(mixed), (image for image in mixed)):
        assert len(list(iter_images(images))) == 6
    assert len(list(iter_images(np.stack([BGR, BGR])))) == 2
    assert len(list(iter_images(torch.zeros(5, 3, 2, 2, dtype=torch.uint8)))) == 5
    assert len(list(iter_images(np.array([str(png), str(png)])))) == 2
    assert list(iter_images([])) == []
    assert list(iter_images(np.zeros((0, 4, 4, 3), np.uint8))) == []


def test_images_are_read_one_at_a_time(png):
    images = iter_images([png, 'absent.png'])
    assert np.array_equal(next(images), BGR)
    with pytest.raises(DataError, match="The image file 'absent.png' does not exist"):
        next(images)


def test_orientation_is_that_of_the_file_read_by_opencv(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated by 90 degrees
    Image.fromarray(RGB).save(tmp_path / 'turned.jpg', exif=exif, quality=95)
    from_file = only(tmp_path / 'turned.jpg')
    from_pillow = only(Image.open(tmp_path / 'turned.jpg'))
    assert from_file.shape == from_pillow.shape == (6, 4, 3)
    assert np.abs(from_file.astype(int) - from_pillow).max() <= 4


def noise(size=64):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 255, (size, size, 3), dtype=np.uint8))


@pytest.mark.parametrize('form', ['jpg', 'png', 'webp', 'bmp'])
@pytest.mark.parametrize('share', [0.3, 0.9])
def test_truncated_files_are_named(tmp_path, form, share):
    whole, path = tmp_path / f'whole.{form}', tmp_path / f'cut.{form}'
    noise().save(whole)
    assert only(whole).shape == (64, 64, 3)
    data = whole.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=f'cut.{form}'):
        only(path)


def test_a_preview_in_the_header_does_not_hide_a_cut(tmp_path):
    preview = io.BytesIO()
    noise(8).save(preview, 'jpeg')
    comment = preview.getvalue()
    noise().save(tmp_path / 'photo.jpg', comment=comment)
    assert only(tmp_path / 'photo.jpg').shape == (64, 64, 3)
    data = (tmp_path / 'photo.jpg').read_bytes()
    assert comment in data
    (tmp_path / 'photo.jpg').write_bytes(data[:-500])
    with pytest.raises(DataError, match='photo.jpg cannot be decoded: the end'):
        only(tmp_path / 'photo.jpg')


def test_files_that_are_not_images_are_named(tmp_path):
    for name, data, reason in (
        ('empty.png', b'', 'empty.png is empty'),
        ('page.jpg', b'<html></html>', 'page.jpg cannot be decoded'),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=reason):
            only(tmp_path / name)
        with pytest.raises(DataError, match=reason):
            with (tmp_path / name).open('rb') as file:
                only(file)
    (tmp_path / 'none').mkdir()
    with pytest.raises(DataError, match='has no image'):
        only(tmp_path / 'none')
    for absent in ('', 'a\0b', 'no/such/file.png', Path('absent.png')):
        with pytest.raises(DataError):
            only(absent)


def test_an_address_is_fetched_with_a_clear_error(png, monkeypatch):
    with pytest.raises(DataError, match='nowhere://x.png cannot be read'):
        only('nowhere://x.png')
    monkeypatch.setattr(
        'mmengine.fileio.backends.http_backend.urlopen',
        lambda address: io.BytesIO(png.read_bytes()),
    )
    assert np.array_equal(only('https://host/x.png'), BGR)


@pytest.mark.parametrize(
    ('image', 'reason'),
    [
        (BGR / 255, r"float64; images are uint8.*astype\('uint8'\)"),
        (BGR.astype(np.float32), 'float32'),
        (BGR.astype(np.int64), 'int64'),
        (BGR > 3, 'bool'),
        (np.zeros((4, 4, 2), np.uint8), r'shape \(4, 4, 2\)'),
        (np.zeros((3, 4, 4), np.uint8)[:, :, :0], 'shape'),
        (np.zeros((0, 4, 3), np.uint8), 'shape'),
        (np.zeros(5, np.uint8), r'shape \(5,\)'),
        (torch.rand(3, 4, 4), 'tensor torch.float32'),
        (torch.zeros(4, 4, dtype=torch.uint8), r'\(4, 4\)'),
        (Image.fromarray(RGB[..., 0].astype(np.float32)), "mode 'F'"),
    ],
)
def test_non_images_are_refused_with_how_to_convert(image, reason):
    with pytest.raises(DataError, match=reason):
        only(image)


def test_wrong_arguments_are_refused():
    for images in (3, None, {'a': BGR}, {'a.png'}, [3], [None], [[BGR]], object()):
        with pytest.raises(ConfigError):
            list(iter_images(images))
    with pytest.raises(ConfigError, match="channel_order is 'RGB'"):
        list(iter_images(BGR, channel_order='RGB'))
    with pytest.raises(MMLGDError, match='binary mode'):
        only(io.StringIO('text'))
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(DataError, match='cannot be read'):
        only(closed)


def test_subclasses_of_arrays_are_read_as_arrays():
    gray = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for kind in (np.asmatrix, np.ma.masked_array):
        (image,) = iter_images(kind(gray))
        assert type(image) is np.ndarray
        assert np.array_equal(image, np.stack([gray] * 3, axis=2))


@pytest.mark.parametrize(
    'tensor',
    [
        torch.zeros(3, 4, 5, dtype=torch.uint8, device='meta'),
        torch.zeros(3, 4, 5, dtype=torch.uint8).to_sparse(),
    ],
    ids=['meta', 'sparse'],
)
def test_tensors_without_plain_values_are_refused(tensor):
    with pytest.raises(DataError, match='without plain values'):
        list(iter_images(tensor))

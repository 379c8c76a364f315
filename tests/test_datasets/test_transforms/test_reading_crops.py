"""Crops of files of every kind, read as mmcv reads them, and of broken ones."""

import numpy as np
import pytest
from PIL import Image

from mmlgd.datasets import UnlabeledImages
from mmlgd.errors import ImageReadError
from mmlgd.registry import TRANSFORMS
from tests.test_datasets.test_transforms.crops import crop_of, save, slow_crop_of


def oriented(tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    return dict(exif=exif)


@pytest.mark.parametrize('tag', range(1, 9))
@pytest.mark.parametrize('scale', [16, 200])
def test_orientation_is_applied(picture, tmp_path, tag, scale):
    # Large and small scale: in full, and reduced.
    path = save(picture, tmp_path, quality=95, **oriented(tag))

    results = crop_of(path, scale=scale)

    size = (320, 240) if tag >= 5 else (240, 320)
    assert results['ori_shape'] == size
    difference = np.abs(results['img'] - slow_crop_of(path, scale=scale))
    # Turned the wrong way, it is tens of levels off.
    assert difference.mean() < 4


FORMATS = {
    'gray.jpg': ('L', dict(quality=95)),
    'cmyk.jpg': ('CMYK', dict(quality=95)),
    'progressive.jpg': ('RGB', dict(progressive=True)),
    'palette.png': ('P', {}),
    'alpha.png': ('RGBA', {}),
    'lossy.webp': ('RGB', dict(quality=90)),
    'plain.bmp': ('RGB', {}),
    'deep.tif': ('RGB', {}),
}


@pytest.mark.parametrize('name', FORMATS)
def test_other_formats_are_read_as_mmcv_reads_them(picture, tmp_path, name):
    mode, options = FORMATS[name]
    path = save(picture.convert(mode), tmp_path, name, **options)

    # Not reduced, so that the pixels are comparable.
    difference = crop_of(path, scale=160)['img'] - slow_crop_of(path, scale=160)

    # OpenCV and Pillow round CMYK in other ways.
    assert np.abs(difference).max() <= (2 if mode == 'CMYK' else 1)


@pytest.mark.parametrize('mode', ['L', 'CMYK'])
def test_gray_and_cmyk_can_be_reduced(picture, tmp_path, mode):
    path = save(picture.convert(mode), tmp_path, quality=95)

    difference = crop_of(path, scale=20)['img'] - slow_crop_of(path, scale=20)

    assert np.abs(difference).mean() < 6


@pytest.mark.parametrize('scale', [20, 160])
@pytest.mark.parametrize('share', [0.3, 0.9, 0.999])
@pytest.mark.parametrize('padding', [0, 5000])
def test_truncated_file_is_refused(picture, tmp_path, scale, share, padding):
    # Downloads reserve a file's space at times, so that it ends with zeros. OpenCV and
    # Pillow then fill up the image with gray.
    path = save(picture, tmp_path)
    with open(path, 'rb+') as stream:
        stream.truncate(int(share * len(stream.read())))
        stream.seek(0, 2)
        stream.write(bytes(padding))

    with pytest.raises(ImageReadError, match=r'picture\.jpg cannot be decoded'):
        crop_of(path, scale=scale)
    with pytest.raises(ImageReadError, match=r'picture\.jpg cannot be decoded'):
        TRANSFORMS.build(dict(type='LoadImageFromFile'))(dict(img_path=path))


@pytest.mark.parametrize('content', [b'no image', b'\xff\xd8\xff\xe0only a start'])
def test_non_images_are_refused_with_their_name(tmp_path, content):
    path = tmp_path / 'broken.jpg'
    path.write_bytes(content)

    with pytest.raises(ImageReadError, match=r'broken\.jpg cannot be decoded'):
        crop_of(str(path))


def test_empty_and_missing_files_are_named(tmp_path):
    path = tmp_path / 'empty.jpg'
    path.touch()

    with pytest.raises(ImageReadError, match=r'empty\.jpg is empty'):
        crop_of(str(path))
    with pytest.raises(ImageReadError, match=r'gone\.jpg cannot be read.*NotFound'):
        crop_of(str(tmp_path / 'gone.jpg'))


def test_broken_files_are_replaced_and_counted(picture, tmp_path):
    for number in range(3):
        save(picture, tmp_path, f'{number}.jpg')
    (tmp_path / '1.jpg').write_bytes(b'no image')
    dataset = UnlabeledImages(
        str(tmp_path),
        max_broken=0.5,
        pipeline=[dict(type='FastRandomResizedCrop', scale=16)],
    )

    assert dataset[1]['img_path'] == str(tmp_path / '2.jpg')
    assert dataset.broken_paths() == [str(tmp_path / '1.jpg')]

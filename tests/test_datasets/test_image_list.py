import hashlib
import os

import numpy as np
import pytest

from mmlgd.datasets import SeededViews, UnlabeledImages
from mmlgd.datasets.image_list import ListedImage, list_image, list_images_of
from mmlgd.errors import ConfigError, DataError

NAMES = [b'a/1.jpg', b'caf\xe9.jpg', b'two\nlines.jpg']


@pytest.mark.parametrize('ending', ['', '/', '/.'])
def test_names_lie_below_the_folder_whatever_they_are(tmp_path, ending):
    for name in NAMES:
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, 'w').close()
    dataset = SeededViews(UnlabeledImages(f'{tmp_path}{ending}'))
    assert [os.fsencode(one.name) for one in list_images_of(dataset)] == NAMES
    assert all(os.path.isfile(one.source) for one in list_images_of(dataset))


def test_images_in_memory_have_no_name():
    class Arrays:
        def get_data_info(self, index):
            return dict(img=np.zeros((2, 2, 3), np.uint8)[:, ::-1])

    image = list_image(Arrays(), 0)
    assert image.name == '' and image.source.flags.c_contiguous
    with pytest.raises(ConfigError, match='neither img_path nor img of image 0'):
        list_image([1], 0)


def test_hash_is_of_the_file_or_of_pixels_with_shape_and_dtype(tmp_path):
    pixels = np.arange(6, dtype=np.uint8)
    arrays = [pixels, pixels.reshape(2, 3), pixels.reshape(3, 2), pixels.view(np.int8)]
    assert len({ListedImage('', one).content_hash() for one in arrays}) == 4
    (tmp_path / 'f').write_bytes(bytes(pixels))
    expected = hashlib.blake2b(bytes(pixels), digest_size=16).digest()
    assert ListedImage('f', str(tmp_path / 'f')).content_hash() == expected
    with pytest.raises(DataError, match="none' cannot be read"):
        ListedImage('none', str(tmp_path / 'none')).content_hash()


def test_an_image_is_known_by_its_name_or_else_by_its_content():
    assert ListedImage('a\udcff.png', '').key() == b'a\xff.png'
    pixels = np.zeros((2, 2), np.uint8)
    content = hashlib.blake2b(b'uint8(2, 2)' + bytes(4), digest_size=16).hexdigest()
    assert ListedImage('', pixels).key() == f'pixels {content}'.encode()
    assert ListedImage('', pixels + 1).key() != ListedImage('', pixels).key()

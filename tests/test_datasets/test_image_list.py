import os

import numpy as np
import pytest

from mmlgd.datasets import SeededViews, UnlabeledImages
from mmlgd.datasets.image_list import list_image, list_images_of
from mmlgd.errors import ConfigError

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

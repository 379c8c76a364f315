import numpy as np
import pytest

from mmlgd.errors import DataError
from mmlgd.registry import TRANSFORMS


def gray_to_bgr(image, **keys):
    transform = TRANSFORMS.build(dict(type='GrayToBGR'))
    return transform(dict(img=image, **keys))['img']


@pytest.mark.parametrize('shape', [(3, 2), (3, 2, 1)])
def test_every_channel_is_the_gray_image(shape):
    plane = np.array([[0, 255], [7, 8], [1, 2]], np.uint8)

    image = gray_to_bgr(plane.reshape(shape))

    assert image.shape == (3, 2, 3)
    assert image.dtype == np.uint8
    assert all((image[..., channel] == plane).all() for channel in range(3))


def test_result_does_not_share_memory_with_the_dataset():
    plane = np.zeros((2, 2), np.uint8)

    gray_to_bgr(plane)[:] = 9

    assert plane.max() == 0


def test_width_of_three_is_not_a_channel_axis():
    assert gray_to_bgr(np.zeros((5, 3), np.uint8)).shape == (5, 3, 3)


def test_colour_image_is_refused_by_name():
    with pytest.raises(DataError, match=r'shirt\.png.*\(4, 4, 3\).*omit the transform'):
        gray_to_bgr(np.zeros((4, 4, 3), np.uint8), img_path='shirt.png')


def test_colour_transforms_take_the_result():
    jitter = TRANSFORMS.build(dict(type='mmpretrain.ColorJitter', brightness=0.4))

    image = jitter(dict(img=gray_to_bgr(np.full((4, 4), 100, np.uint8))))['img']

    assert image.shape == (4, 4, 3)

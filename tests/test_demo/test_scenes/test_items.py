import numpy as np
import pytest

from demo.scenes.grounds import _PATTERNS, textured_ground
from demo.scenes.items import cut_out, silhouette


def framed(level=200):
    """A square ring of that level, 4 pixels wide, around a hole of 8 by 8."""
    image = np.zeros((28, 28), np.uint8)
    image[6:22, 6:22] = level
    image[10:18, 10:18] = 0
    return image


def test_hole_that_is_ground_stays_open():
    image = framed()
    assert (silhouette(image) == (image > 0)).all()


def test_dark_print_is_part_of_the_item():
    image = framed()
    image[10:18, 10:18] = 3
    assert silhouette(image)[10:18, 10:18].all()


def test_small_hole_is_part_of_the_item():
    image = framed()
    image[10:18, 10:18] = 200
    image[13:16, 13:16] = 0
    assert silhouette(image)[6:22, 6:22].all()


def test_specks_are_not_part_of_the_item():
    image = framed()
    image[2, 2] = image[24, 10:14] = 90
    image[6:22, 24] = 5
    assert (silhouette(image) == (framed() > 0)).all()


def test_dark_half_of_a_dress_belongs_to_it():
    image = np.zeros((28, 28), np.uint8)
    image[2:14, 8:20] = 2
    image[14:26, 8:20] = 220
    assert silhouette(image)[3:26, 9:19].all()


def test_edge_that_is_mostly_ground_is_left_out():
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 8:20] = 200
    image[4:24, 7] = 40
    image[4:24, 20] = 160
    item = silhouette(image)
    assert not item[4:24, 7].any()
    assert item[4:24, 20].all()


@pytest.mark.parametrize('side', [14, 28, 50, 96])
def test_cut_out_has_the_size_asked_for_and_no_dark_rim(side):
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 8:18] = 200
    item = cut_out(image, side)
    rows, columns = np.nonzero(item.mask)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert abs(height - side) <= 2
    assert abs(width - side / 2) <= 2
    assert item.gray[item.alpha > 0].min() > 190
    assert item.alpha.max() == 1
    assert item.alpha[[0, -1]].max() < 0.5


@pytest.mark.parametrize('index', range(len(_PATTERNS)))
def test_patterns_fill_zero_to_one(index):
    pattern = _PATTERNS[index](64, np.random.default_rng(3))
    assert pattern.shape == (64, 64)
    assert -0.01 <= pattern.min() < pattern.max() <= 1.01
    assert pattern.std() > 0.05


def test_ground_is_decided_by_the_generator():
    first, second, other = (
        textured_ground(40, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (first == second).all()
    assert (first != other).any()
    assert 0 <= first.min() and first.max() <= 255

"""Colours and blur, against torchvision's and Pillow's at given parameters."""

import math

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as TF
from PIL import ImageFilter

from mmlgd.datasets.transforms.photometric import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    gaussian_blur,
)
from mmlgd.errors import DataError
from mmlgd.registry import TRANSFORMS
from mmlgd.utils.rng import seeded

FAST = [
    dict(type='FastColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    dict(type='FastRandomGrayscale', prob=0.5),
    dict(type='FastGaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf'),
]
SLOW = [
    dict(FAST[0], type='mmpretrain.ColorJitter'),
    dict(
        type='RandomGrayscale',
        prob=0.5,
        keep_channels=True,
        channel_weights=(0.114, 0.587, 0.299),
    ),
    dict(FAST[2], type='mmpretrain.GaussianBlur'),
]


def levels(bgr: np.ndarray) -> np.ndarray:
    """As RGB that may be subtracted."""
    return bgr[..., ::-1].astype(float)


@pytest.mark.parametrize('factor', [0.0, 0.6, 0.93, 1.0, 1.17, 1.4])
@pytest.mark.parametrize(
    'ours, theirs',
    [
        (adjust_brightness, TF.adjust_brightness),
        (adjust_contrast, TF.adjust_contrast),
        (adjust_saturation, TF.adjust_saturation),
    ],
)
def test_factors_are_torchvisions_on_pillow_images(picture, bgr, ours, theirs, factor):
    difference = levels(ours(bgr, factor)) - np.asarray(theirs(picture, factor))

    assert np.abs(difference).max() <= 1
    # Rounding to the other side is rare, and does not brighten the image.
    assert np.abs(difference).mean() < 0.05


@pytest.mark.parametrize(
    'adjust', [adjust_brightness, adjust_contrast, adjust_saturation]
)
def test_a_factor_of_one_keeps_gray_values(adjust):
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)

    np.testing.assert_array_equal(adjust(ramp, 1.0), ramp)


@pytest.mark.parametrize('turns', [-0.1, -0.05, 0.01, 0.07, 0.1, 0.5])
def test_hue_is_nearer_to_the_exact_turn_than_pillows(picture, bgr, turns):
    exact = torch.from_numpy(np.array(picture)).permute(2, 0, 1).double() / 255
    exact = 255 * TF.adjust_hue(exact, turns).permute(1, 2, 0).numpy()
    pillows = np.abs(np.asarray(TF.adjust_hue(picture, turns)) - exact)

    ours = np.abs(levels(adjust_hue(bgr, turns)) - exact)

    # Two roundings of the hue by half of 256 steps, up to 3 levels each, and of the
    # saturation and the result by half a level each.
    assert ours.max() <= 7
    assert ours.mean() < 0.6
    assert ours.mean() < pillows.mean()


def test_no_turn_keeps_the_colours(bgr):
    difference = adjust_hue(bgr, 0.0).astype(int) - bgr

    assert np.abs(difference).max() <= 7
    assert np.abs(difference).mean() < 0.6


@pytest.mark.parametrize('sigma', [0.1, 0.5, 1.0, 1.5, 2.0])
def test_blur_is_pillows_within_its_rounding(picture, bgr, sigma):
    wanted = np.asarray(picture.filter(ImageFilter.GaussianBlur(radius=sigma)))

    difference = np.abs(levels(gaussian_blur(bgr, sigma)) - wanted)

    # Pillow's three filters reach six pixels; at the edges it repeats pixels again.
    assert difference[6:-6, 6:-6].max() <= 3
    assert difference.mean() < 0.6


@pytest.mark.parametrize('sigma', [0.1, 0.7, 1.3, 2.0, 5.0])
def test_blur_of_a_line_has_the_variance_asked_for(sigma):
    line = np.zeros((101, 101, 3), np.uint8)
    line[:, 50] = 255

    profile = gaussian_blur(line, sigma)[50, :, 0].astype(float)

    offsets = np.arange(101) - 50
    assert profile.sum() == pytest.approx(255, abs=4)
    spread = math.sqrt((profile * offsets**2).sum() / profile.sum())
    assert spread == pytest.approx(sigma, abs=0.06)


def test_blur_continues_the_outermost_pixels():
    image = np.full((9, 9, 3), 200, np.uint8)

    np.testing.assert_array_equal(gaussian_blur(image, 2.0), image)


@pytest.mark.parametrize('fast, slow', list(zip(FAST, SLOW)))
def test_a_seed_gives_the_same_as_in_the_original_transform(bgr, fast, slow):
    fast, slow = TRANSFORMS.build(fast), TRANSFORMS.build(slow)
    changed = 0
    for seed in range(12):
        with seeded(seed):
            ours = fast(dict(img=bgr.copy()))['img'].astype(int)
        with seeded(seed):
            theirs = slow(dict(img=bgr.copy()))['img'].astype(int)

        changed += not np.array_equal(ours, bgr)
        # Most by Pillow's hue, which is up to 2 levels off on average.
        assert np.abs(ours - theirs).mean() < 2.5
    assert changed >= 3


def test_gray_has_pillows_luma_in_three_channels(picture, bgr):
    gray = TRANSFORMS.build(dict(type='FastRandomGrayscale', prob=1.0))
    wanted = np.asarray(picture.convert('L').convert('RGB')).astype(int)

    image = gray(dict(img=bgr))['img']

    assert np.ptp(image, axis=2).max() == 0
    assert np.abs(image - wanted).max() <= 1


@pytest.mark.parametrize('cfg', FAST, ids=lambda cfg: cfg['type'])
def test_the_input_image_is_not_modified(bgr, cfg):
    before = bgr.copy()
    transform = TRANSFORMS.build(cfg)
    for seed in range(4):
        with seeded(seed):
            transform(dict(img=bgr))

    np.testing.assert_array_equal(bgr, before)


@pytest.mark.parametrize('cfg', FAST, ids=lambda cfg: cfg['type'])
@pytest.mark.parametrize(
    'image', [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)]
)
def test_other_images_are_refused_by_name(cfg, image):
    with pytest.raises(DataError, match=rf'{cfg["type"]}.*shirt\.png.*GrayToBGR'):
        TRANSFORMS.build(cfg)(dict(img=image, img_path='shirt.png'))


def test_a_fixed_radius_is_every_images_sigma(picture, bgr):
    blur = TRANSFORMS.build(dict(type='FastGaussianBlur', radius=1.3, prob=1.0))
    wanted = np.asarray(picture.filter(ImageFilter.GaussianBlur(radius=1.3)))

    difference = np.abs(levels(blur(dict(img=bgr))['img']) - wanted)

    assert difference[6:-6, 6:-6].max() <= 3

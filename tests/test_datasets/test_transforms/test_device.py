"""Packing of images with operations that are drawn, but not applied."""

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate

from mmlgd.datasets.transforms.photometric import OPERATIONS
from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import TRANSFORMS
from mmlgd.utils.rng import seeded

JITTER = dict(
    type='FastColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1
)
STEPS = [
    dict(type='RandomApply', transforms=[JITTER], prob=0.8),
    dict(type='FastRandomGrayscale', prob=0.2),
    dict(
        type='FastGaussianBlur',
        magnitude_range=(0.1, 2.0),
        magnitude_std='inf',
        prob=0.5,
    ),
]
NAMES = list(OPERATIONS)


def build(*steps, **options):
    return TRANSFORMS.build(dict(type='PackForDevice', transforms=steps, **options))


def test_the_image_is_packed_as_it_is(bgr):
    packed = build(*STEPS)(dict(img=bgr, img_path='a.png', img_shape=bgr.shape[:2]))
    wanted = TRANSFORMS.build(dict(type='mmpretrain.PackInputs'))(dict(img=bgr))

    assert torch.equal(packed['inputs']['image'], wanted['inputs'])
    assert packed['inputs']['image'].dtype == torch.uint8
    assert packed['data_samples'].img_path == 'a.png'


def test_operations_are_those_that_the_transforms_apply(bgr, monkeypatch):
    pack, transforms = build(*STEPS), [TRANSFORMS.build(step) for step in STEPS]
    applied = []

    def note(name):
        return lambda image, value: applied.append((name, value)) or image

    for name in NAMES:
        monkeypatch.setitem(OPERATIONS, name, note(name))
    kinds = set()
    for seed in range(60):
        applied.clear()
        with seeded(seed):
            for transform in transforms:
                transform(dict(img=bgr))
        with seeded(seed):
            rows = pack(dict(img=bgr))['inputs']['operations']

        assert rows.shape == (6, 2)
        drawn = rows[rows[:, 0] >= 0]
        assert [NAMES[int(code)] for code in drawn[:, 0]] == [one for one, _ in applied]
        np.testing.assert_allclose(drawn[:, 1], [value for _, value in applied])
        kinds.add(len(drawn))
    assert {0, 1, 4, 5, 6} <= kinds


def test_operations_are_collated_with_their_images(bgr):
    pack = build(*STEPS)
    batch = default_collate([pack(dict(img=bgr)) for _ in range(3)])
    assert batch['inputs']['image'].shape == (3, 3, *bgr.shape[:2])
    assert batch['inputs']['operations'].shape == (3, 6, 2)


def test_no_transforms():
    image = np.zeros((4, 4, 3), np.uint8)
    assert build()(dict(img=image))['inputs']['operations'].shape == (0, 2)


@pytest.mark.parametrize('within', [False, True])
def test_other_transforms_are_refused_by_name(within):
    step = dict(type='FastRandomFlip')
    if within:
        step = dict(type='RandomApply', transforms=[step])
    with pytest.raises(ConfigError, match='FastRandomFlip.*before PackForDevice'):
        build(JITTER, step)


@pytest.mark.parametrize(
    'image', [np.zeros((4, 4), np.uint8), [np.zeros((4, 4, 3), np.uint8)] * 2]
)
def test_other_images_are_refused(image):
    with pytest.raises(DataError, match='PackForDevice needs uint8 images'):
        build(*STEPS)(dict(img=image))

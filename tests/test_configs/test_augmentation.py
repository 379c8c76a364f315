"""The pipelines against torchvision's transforms, which the authors used."""

import numpy as np
import pytest
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as TF
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image, ImageFilter
from torchvision.transforms import InterpolationMode

from mmlgd.registry import TRANSFORMS
from tests.test_configs.shrink import CONFIGS

DRAWS = 4000


@pytest.fixture(scope='module')
def steps():
    """The transforms of the training pipeline, by type."""
    init_default_scope('mmlgd')
    cfg = Config.fromfile(CONFIGS / 'lgd/r50_mbv3.py')
    pipeline = cfg.train_dataloader.dataset.dataset.pipeline
    built = [TRANSFORMS.build(step) for step in pipeline]
    return {type(step).__name__: step for step in built}


@pytest.fixture
def rgb():
    """A smooth picture with colours (51, 75, 3), as Pillow holds it."""
    pixels = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((75, 51), Image.BICUBIC)


def apply(transform, image: Image.Image) -> np.ndarray:
    """Run a transform of OpenMMLab, which works on BGR; returns RGB."""
    bgr = np.ascontiguousarray(np.asarray(image)[..., ::-1])
    return transform(dict(img=bgr))['img'][..., ::-1].astype(int)


def test_order_of_the_steps(steps):
    assert list(steps) == [
        'FastRandomResizedCrop',
        'RandomApply',
        'FastRandomGrayscale',
        'FastGaussianBlur',
        'FastRandomFlip',
        'PackInputs',
    ]


def test_crops_are_drawn_as_torchvision_draws_them(steps):
    np.random.seed(0)
    torch.manual_seed(0)
    crop, image = steps['FastRandomResizedCrop'], np.zeros((300, 400, 3), np.uint8)
    wanted = Image.fromarray(image)
    ours = [crop.rand_crop_params(image) for _ in range(DRAWS)]
    theirs = [
        T.RandomResizedCrop.get_params(wanted, scale=[0.2, 1.0], ratio=[3 / 4, 4 / 3])
        for _ in range(DRAWS)
    ]
    # Offsets and sizes (pixels), areas: same quantiles up to sampling error.
    ours, theirs = (np.array(each, dtype=float) for each in (ours, theirs))
    ours = np.column_stack([ours, np.sqrt(ours[:, 2] * ours[:, 3])])
    theirs = np.column_stack([theirs, np.sqrt(theirs[:, 2] * theirs[:, 3])])
    levels = [0.1, 0.25, 0.5, 0.75, 0.9]
    quantiles = [np.quantile(each, levels, axis=0) for each in (ours, theirs)]
    np.testing.assert_allclose(*quantiles, atol=8)


def test_crop_has_torchvisions_pixels(steps, rgb, monkeypatch):
    crop = steps['FastRandomResizedCrop']
    monkeypatch.setattr(crop, 'rand_crop_params', lambda img: (5, 9, 40, 31))
    wanted = TF.resized_crop(rgb, 5, 9, 40, 31, [224, 224], InterpolationMode.BILINEAR)
    assert np.abs(apply(crop, rgb) - np.asarray(wanted)).max() <= 1


def exact_hue(image: Image.Image, turns: float) -> np.ndarray:
    """Pillow's hue of 8 bits, which ``TF`` takes for images, is up to 15 levels off."""
    turned = TF.adjust_hue(TF.pil_to_tensor(image).double() / 255, turns)
    return 255 * turned.permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    'index, adjust, bounds, levels',
    [
        (0, TF.adjust_brightness, (0.6, 1.4), 1),
        (1, TF.adjust_contrast, (0.6, 1.4), 1),
        (2, TF.adjust_saturation, (0.6, 1.4), 1),
        (3, exact_hue, (-0.1, 0.1), 7),
    ],
)
def test_colour_jitter(steps, rgb, monkeypatch, index, adjust, bounds, levels):
    (jitter,) = steps['RandomApply'].transforms.transforms
    draws = np.array([jitter._rand_params()[1 + index] for _ in range(DRAWS)])
    assert draws.min() >= bounds[0] and draws.max() <= bounds[1]
    np.testing.assert_allclose(
        np.quantile(draws, [0.25, 0.5, 0.75]),
        np.interp([0.25, 0.5, 0.75], [0, 1], bounds),
        atol=0.04 * (bounds[1] - bounds[0]),
    )

    for value in bounds:
        factors = [None] * 4
        factors[index] = value
        monkeypatch.setattr(jitter, '_rand_params', lambda f=factors: (range(4), *f))
        wanted = np.asarray(adjust(rgb, value)).astype(float)
        assert np.abs(apply(jitter, rgb) - wanted).max() <= levels


def test_jitter_comes_in_any_order(steps):
    (jitter,) = steps['RandomApply'].transforms.transforms
    assert len({tuple(jitter._rand_params()[0]) for _ in range(500)}) == 24


def test_grayscale_is_pillows(steps, rgb, monkeypatch):
    gray = steps['FastRandomGrayscale']
    monkeypatch.setattr(gray, '_random_prob', lambda: 0.0)
    wanted = np.asarray(TF.to_grayscale(rgb, num_output_channels=3)).astype(int)
    assert np.abs(apply(gray, rgb) - wanted).max() <= 1


def test_blur_is_pillows_with_a_uniform_sigma(steps, rgb, monkeypatch):
    blur = steps['FastGaussianBlur']
    sigmas = np.array([blur.random_magnitude() for _ in range(DRAWS)])
    assert sigmas.min() >= 0.1 and sigmas.max() <= 2.0
    quantiles = np.quantile(sigmas, [0.25, 0.5, 0.75])
    np.testing.assert_allclose(quantiles, [0.575, 1.05, 1.525], atol=0.08)

    monkeypatch.setattr(blur, 'random_disable', lambda: False)
    monkeypatch.setattr(blur, 'random_magnitude', lambda: 1.3)
    wanted = rgb.filter(ImageFilter.GaussianBlur(radius=1.3))
    difference = np.abs(apply(blur, rgb) - np.asarray(wanted))
    assert difference[6:-6, 6:-6].max() <= 3 and difference.mean() < 0.6


def test_how_often(steps):
    np.random.seed(0)
    blurred = np.mean(
        [not steps['FastGaussianBlur'].random_disable() for _ in range(DRAWS)]
    )
    jittered = np.mean([steps['RandomApply'].random_apply() for _ in range(DRAWS)])
    gray, flip = steps['FastRandomGrayscale'], steps['FastRandomFlip']
    grayed = np.mean([gray._random_prob() < gray.prob for _ in range(DRAWS)])
    flipped = np.mean([flip.draw() for _ in range(DRAWS)])
    shares = [jittered, grayed, blurred, flipped]
    np.testing.assert_allclose(shares, [0.8, 0.2, 0.5, 0.5], atol=0.04)


@pytest.mark.parametrize('size', [(300, 401), (401, 300), (123, 123)])
def test_validation_crop_is_torchvisions(tmp_path, size):
    init_default_scope('mmlgd')
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3))
    image = Image.fromarray(noise.astype(np.uint8))
    image.save(tmp_path / 'noise.png')
    wanted = T.Compose([T.Resize(256), T.CenterCrop(224), T.PILToTensor()])(image)

    cfg = Config.fromfile(CONFIGS / 'lgd/r50_mbv3.py')
    data = dict(img_path=str(tmp_path / 'noise.png'))
    for step in cfg.val_dataloader.dataset.pipeline:
        data = TRANSFORMS.build(step)(data)

    assert data['inputs'].dtype == torch.uint8
    assert torch.equal(data['inputs'].flip(0), wanted)

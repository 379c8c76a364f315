"""Augmentation in batches, against that of single images on the CPU."""

import colorsys
from contextlib import nullcontext

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.registry import init_default_scope
from scipy.stats import ks_2samp

from mmlgd.datasets.transforms.photometric import OPERATIONS
from mmlgd.models.device_augmentation import augment
from mmlgd.registry import TRANSFORMS
from mmlgd.utils.rng import seeded
from tests.test_configs.shrink import CONFIGS

CODES = {name: code for code, name in enumerate(OPERATIONS)}


@pytest.fixture(scope='module', autouse=True)
def scope():
    init_default_scope('mmlgd')


def picture(seed: int, size: int = 48) -> np.ndarray:
    """BGR (size, size, 3) uint8 with colours, large shapes and detail."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size, 3))
    for octave in range(5):
        coarse = rng.uniform(-1, 1, (2**octave + 1, 2**octave + 1, 3))
        total += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC) / (
            2**octave
        )
    return np.clip(128 + 90 * total, 0, 255).astype(np.uint8)


def stack(images: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def program(*steps: list[tuple[str, float]]) -> torch.Tensor:
    """Operations of images with as many steps each; '' for none."""
    rows = [[(CODES.get(name, -1), value) for name, value in image] for image in steps]
    return torch.tensor(rows, dtype=torch.float32)


def differences(pictures, operations) -> np.ndarray:
    """Levels between the batch on the device and single images on the CPU."""
    batch = augment(stack(pictures), program(*operations))
    wanted = []
    for image, steps in zip(pictures, operations):
        for name, value in steps:
            image = OPERATIONS[name](image, value) if name else image
        wanted.append(image)
    return np.abs(batch.numpy() - stack(wanted).float().numpy())


@pytest.mark.parametrize(
    ('name', 'values', 'most', 'mean'),
    [
        # The same arithmetic, in another order: the rounding may differ.
        ('brightness', [0.0, 0.6, 0.93, 1.0, 1.17, 1.4], 1, 0.001),
        ('contrast', [0.0, 0.6, 0.93, 1.0, 1.17, 1.4], 1, 0.001),
        ('saturation', [0.0, 0.6, 0.93, 1.0, 1.17, 1.4], 1, 0.001),
        # Exact here; the CPU rounds hue and saturation to 8 bits.
        ('hue', [-0.1, -0.05, 0.0, 0.01, 0.07, 0.1], 7, 0.6),
        ('blur', [0.1, 0.5, 1.0, 1.3, 1.7, 2.0], 1, 0.001),
    ],
)
def test_each_operation_is_that_of_the_cpu(name, values, most, mean):
    pictures = [picture(seed) for seed in range(len(values))]

    levels = differences(pictures, [[(name, value)] for value in values])

    assert levels.max() <= most and levels.mean() <= mean


def test_hue_is_exact_up_to_rounding():
    image, turns = picture(0, size=12), 0.07

    found = augment(stack([image]), program([('hue', turns)]))[0]

    for row, column in np.ndindex(12, 12):
        blue, green, red = image[row, column] / 255
        h, s, v = colorsys.rgb_to_hsv(red, green, blue)
        wanted = 255 * np.array(colorsys.hsv_to_rgb((h + turns) % 1, s, v)[::-1])
        np.testing.assert_allclose(found[:, row, column], wanted, atol=0.501)


def test_every_image_has_its_own_operations_and_order():
    pictures = [picture(seed) for seed in range(4)]
    operations = [
        [('brightness', 1.4), ('contrast', 0.6), ('blur', 1.1)],
        [('contrast', 0.6), ('brightness', 1.4), ('', 0.0)],
        [('', 0.0), ('', 0.0), ('', 0.0)],
        [('saturation', 1.3), ('', 0.0), ('blur', 0.4)],
    ]

    levels = differences(pictures, operations)

    # A level of a step may become two in the next.
    assert levels.max() <= 2 and levels.mean() < 0.01
    assert levels[2].max() == 0
    batch = stack([pictures[0]] * 2)
    one, other = augment(batch, program(*(steps[:2] for steps in operations[:2])))
    assert (one - other).abs().max() > 10


def test_the_batch_is_not_modified_and_levels_are_whole():
    batch = stack([picture(0), picture(1)])
    before = batch.clone()

    found = augment(batch, program([('hue', 0.1)], [('blur', 2.0)]))

    assert torch.equal(batch, before)
    assert found.dtype == torch.float32 and torch.equal(found, found.round())
    assert 0 <= found.min() and found.max() <= 255


def test_an_image_of_one_colour_is_kept_by_the_blur():
    batch = torch.full((1, 3, 9, 9), 200, dtype=torch.uint8)
    assert augment(batch, program([('blur', 2.0)])).eq(200).all()


def test_nothing_is_read_from_the_device(monkeypatch):
    # Tensors of this device have no values: reading one raises an error. It has no
    # autocast.
    monkeypatch.setattr(torch, 'autocast', lambda *args, **kwargs: nullcontext())
    batch = torch.empty(5, 3, 8, 8, dtype=torch.uint8, device='meta')
    operations = program(*([(name, 0.1)] for name in OPERATIONS))

    assert augment(batch, operations).shape == batch.shape


def test_autocast_does_not_change_the_views():
    batch = stack([picture(0)] * 5)
    operations = program(*([(name, 0.7)] for name in OPERATIONS))
    wanted = augment(batch, operations)

    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = augment(batch, operations)

    assert torch.equal(found, wanted)


def photometric(config: str) -> list:
    """The steps of a training pipeline that change colours, blur, and pack."""
    pipeline = Config.fromfile(CONFIGS / config).train_dataloader.dataset.dataset
    steps = [
        step
        for step in pipeline.pipeline
        if step.type not in ('FastRandomResizedCrop', 'FastRandomFlip')
    ]
    return [TRANSFORMS.build(step) for step in steps]


def draw(steps: list, seeds: range) -> dict:
    """A batch of views of one picture."""
    views = []
    for seed in seeds:
        results = dict(img=picture(0, size=32))
        with seeded(seed):
            for step in steps:
                results = step(results)
        views.append(dict(inputs=results['inputs']))
    return default_collate(views)['inputs']


def on_cpu(seeds: range) -> torch.Tensor:
    return draw(photometric('lgd/r50_mbv3.py'), seeds).float()


def on_device(seeds: range) -> torch.Tensor:
    inputs = draw(photometric('lgd/r50_mbv3_device-aug.py'), seeds)
    return augment(inputs['image'], inputs['operations'])


def test_a_seed_gives_the_view_of_the_cpu():
    ours, wanted = on_device(range(200)), on_cpu(range(200))

    levels = (ours - wanted).abs().flatten(1)

    # The CPU's hue of 8 bits, followed by at most 1.4 times the contrast.
    assert levels.mean(1).max() < 2.5 and levels.mean() < 0.5
    original = torch.from_numpy(picture(0, size=32)).permute(2, 0, 1)
    assert (wanted - original).abs().flatten(1).mean(1).median() > 10


def statistics(views: torch.Tensor) -> dict[str, np.ndarray]:
    """One value per image: brightness, contrast, colours and sharpness."""
    blue, green, red = views.unbind(1)
    gray = views.mean(1)
    return dict(
        brightness=gray.mean((1, 2)).numpy(),
        contrast=gray.std((1, 2)).numpy(),
        saturation=(views.amax(1) - views.amin(1)).mean((1, 2)).numpy(),
        red=(red - green).mean((1, 2)).numpy(),
        blue=(blue - green).mean((1, 2)).numpy(),
        sharpness=gray.diff(dim=2).abs().mean((1, 2)).numpy(),
    )


def p_values(first: torch.Tensor, second: torch.Tensor) -> dict[str, float]:
    first, second = statistics(first), statistics(second)
    return {name: ks_2samp(first[name], second[name]).pvalue for name in first}


def test_distribution_is_that_of_the_cpu():
    # Kolmogorov-Smirnov tests of independent samples; seeds are fixed.
    found = p_values(on_device(range(1000)), on_cpu(range(1000, 2000)))
    assert min(found.values()) > 0.01, found


def test_other_distributions_are_noticed():
    wanted = on_cpu(range(1000, 2000))
    steps = photometric('lgd/r50_mbv3_device-aug.py')
    jitter, gray, blur = steps[0].transforms
    jitter.prob, gray.prob, blur.prob = 0.6, 0.3, 0.35

    inputs = draw(steps, range(1000))

    found = p_values(augment(inputs['image'], inputs['operations']), wanted)
    for name in ('brightness', 'saturation', 'sharpness'):
        assert found[name] < 1e-3, found

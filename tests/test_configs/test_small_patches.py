"""The data of SEED's small patches: seven views, drawn again alike."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlgd.registry import DATASETS
from tests.test_configs.shrink import CONFIGS, write_images

SIDES = [224] + [96] * 6


@pytest.fixture
def config():
    init_default_scope('mmlgd')
    return Config.fromfile(CONFIGS / 'baselines/seed_r50_r18_small-patches.py')


@pytest.fixture
def dataset(config, tmp_path):
    """Eight pictures under the shipped pipeline."""
    dataset = config.train_dataloader.dataset
    dataset.dataset.data_root = str(write_images(tmp_path))
    return DATASETS.build(dataset)


def test_views_and_their_number(config, dataset):
    views = dataset[0]['inputs']
    assert [tuple(view.shape) for view in views] == [(3, s, s) for s in SIDES]
    assert config.model.num_patches == len(views) - 1
    for first, second in zip(views[1:], views[2:]):
        assert not torch.equal(first, second)


def test_views_are_reproducible(dataset):
    first = dataset[3]['inputs']
    np.random.seed(7)
    dataset[5]
    again, other = dataset[3]['inputs'], dataset[len(dataset) + 3]['inputs']
    for one, two, three in zip(first, again, other):
        assert torch.equal(one, two)
        assert not torch.equal(one, three)


def test_area_fractions_of_the_crops(dataset):
    _, multi_view, _ = dataset.dataset.pipeline.transforms
    picture, np_areas = np.zeros((400, 400, 3), np.uint8), []
    for pipeline in multi_view.pipelines:
        np.random.seed(0)
        crop = pipeline.transforms[0]
        params = [crop.rand_crop_params(picture) for _ in range(2000)]
        np_areas.append([h * w / 400**2 for *_, h, w in params])
    for areas, (low, high) in zip(np_areas, [(0.14, 1.0), (0.05, 0.14)]):
        assert min(areas) >= low - 0.01 and max(areas) <= high + 0.01
        assert np.quantile(areas, 0.05) < low + 0.1 * (high - low)
    # Uniform, as nearly every patch fits in whatever its aspect.
    assert np.mean(np_areas[1]) == pytest.approx(0.095, abs=0.003)

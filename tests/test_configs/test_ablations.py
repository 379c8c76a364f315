"""Every ablation of LGD differs in one option from the default config, and trains."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmlgd.datasets import load_category_names
from mmlgd.registry import MODELS
from tests.test_configs.shrink import (
    CONFIGS,
    GUIDES,
    NAMES,
    shrink,
    with_tiny_teacher,
    write_images,
)

# Change of each config in the built model.
CHANGES = {
    'tsb-only': {'alpha': 0.0},
    'vsb-only': {'alpha': 1.0},
    'alpha0.25': {'alpha': 0.25},
    'alpha0.75': {'alpha': 0.75},
    'momentum0.9': {'visual_bank.momentum': 0.9},
    'momentum0.99': {'visual_bank.momentum': 0.99},
    'no-self-logit': {'self_logit': False},
    'unit-rows': {'visual_bank.normalize': True},
    'soft-assignment': {'visual_bank.soft_temperature': 0.01},
    'random-names': {},
}
STOCK = {
    'alpha': 0.5,
    'self_logit': True,
    'student_temperature': 0.2,
    'teacher_temperature': 0.01,
    'visual_bank.momentum': 0.999,
    'visual_bank.normalize': False,
    'visual_bank.soft_temperature': None,
}


def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / f'ablations/r50_r18_{name}.py')


def test_the_folder_holds_these_ablations():
    found = {path.stem for path in (CONFIGS / 'ablations').glob('*.py')}
    assert found == {f'r50_r18_{name}' for name in CHANGES}


@pytest.mark.parametrize('name', CHANGES)
def test_one_thing_differs_from_lgd(name):
    found, stock = load(name), Config.fromfile(CONFIGS / 'lgd/r50_r18_90e.py')
    for part in set(stock) - {'model'}:
        assert found[part] == stock[part], part
    model = MODELS.build(with_tiny_teacher(found).model)
    for place, value in {**STOCK, **CHANGES[name]}.items():
        module, _, attribute = place.rpartition('.')
        assert getattr(model.get_submodule(module), attribute) == value, place


def test_random_names_guide_and_right_names_are_predicted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = MODELS.build(with_tiny_teacher(load('random-names')).model)
    right = load_category_names('imagenet')
    assert model.prediction_bank.category_names == right
    guides = model.textual_bank.category_names
    assert len(set(guides)) == 1000 and not set(guides) & set(right)


@pytest.mark.slow
@pytest.mark.parametrize('name', CHANGES)
def test_two_steps_change_the_student(name, tmp_path):
    images = write_images(tmp_path / 'images')
    labelled = write_images(tmp_path / 'labelled', per_class=True)
    cfg = shrink(load(name), images, tmp_path / 'run', labelled)
    runner = Runner.from_cfg(cfg)
    guides = runner.model.textual_bank.category_names
    assert guides == (GUIDES if name == 'random-names' else NAMES)
    runner.model.init_weights()
    before = {key: v.clone() for key, v in runner.model.backbone.named_parameters()}
    runner.train()

    assert runner.iter == 2
    losses = runner.message_hub.get_scalar('train/loss').data
    assert np.isfinite(losses).all() and len(losses) == 2
    after = dict(runner.model.backbone.named_parameters())
    assert all(not torch.equal(after[key], v) for key, v in before.items())
    assert Path(tmp_path / 'run/backbone.pth').is_file()
    assert 'val/zero_shot/student_top1' in runner.message_hub.log_scalars

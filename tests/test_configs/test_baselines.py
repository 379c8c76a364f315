"""Every baseline has LGD's recipe except for the method, builds, trains and
validates."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmlgd.datasets import Bags, image_list_digest
from mmlgd.models.distillers import BaseDistiller
from mmlgd.registry import DATASETS, MODELS
from tests.test_configs.shrink import (
    CONFIGS,
    NAMES,
    shrink,
    with_tiny_teacher,
    write_images,
)

BASELINES = sorted(path.name for path in (CONFIGS / 'baselines').glob('*.py'))
COMMON = (
    'optim_wrapper auto_scale_lr param_scheduler train_cfg val_dataloader val_evaluator '
    'default_hooks model_wrapper_cfg randomness'
).split()


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp('images'))


@pytest.fixture(scope='module')
def labelled(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp('labelled'), per_class=True)


def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / 'baselines' / name)


def write_bags(pairs: dict, teacher: str) -> None:
    """The bags of a BagPairs: each image's neighbour is the next one."""
    images = DATASETS.build(pairs.dataset)
    neighbours = torch.arange(1, len(images) + 1, dtype=torch.int32) % len(images)
    Bags(neighbours[:, None], teacher, image_list_digest(images)).save(pairs.bags)


@pytest.mark.parametrize('name', BASELINES)
def test_only_the_method_differs_from_lgd(name):
    found = load(name)
    # <method>_<teacher>_<student>[_<variant>].py
    student = name.removesuffix('.py').split('_r50_')[1].split('_')[0]
    wanted = Config.fromfile(CONFIGS / f'lgd/r50_{student}.py')
    for part in COMMON:
        assert found[part] == wanted[part], part
    for part in ('teacher', 'backbone', 'neck'):
        assert found.model[part] == wanted.model[part], part
    for part in ('student_temperature', 'teacher_temperature'):
        default = wanted.model[part]
        assert found.model.get(part, default) == default, part
    assert found.train_dataloader.batch_size == wanted.train_dataloader.batch_size
    hooks = [hook.type for hook in found.custom_hooks]
    assert set(hooks) >= {hook.type for hook in wanted.custom_hooks}
    assert len(hooks) == len(set(hooks))


@pytest.mark.parametrize('name', BASELINES)
def test_config_builds_with_imagenets_names(name):
    model = MODELS.build(with_tiny_teacher(load(name)).model)

    assert isinstance(model, BaseDistiller)
    assert tuple(model.prediction_bank.embeddings.shape) == (1000, 32)
    assert len(model.prediction_bank.templates) == 80
    assert not [key for key in model.state_dict() if 'teacher' in key]


@pytest.mark.slow
@pytest.mark.parametrize('name', BASELINES)
def test_two_steps_change_the_student_and_are_validated(
    name, images, labelled, tmp_path
):
    cfg = shrink(load(name), images, tmp_path / 'run', labelled)
    # Else it alone would change the weights.
    cfg.optim_wrapper.optimizer.weight_decay = 0.0
    pairs = cfg.train_dataloader.dataset.dataset
    if 'bags' in pairs:
        pairs.bags = str(tmp_path / 'bags.pth')
    runner = Runner.from_cfg(cfg)
    if 'bags' in pairs:
        write_bags(pairs, runner.model.teacher.identity)
    runner.model.init_weights()
    before = next(runner.model.backbone.parameters()).detach().clone()
    runner.train()

    assert runner.iter == 2
    losses, _ = runner.message_hub.get_scalar('train/loss').data
    assert np.isfinite(losses).all() and len(losses) == 2
    assert not torch.equal(next(runner.model.backbone.parameters()), before)
    for who in ('student', 'teacher'):
        top1 = runner.message_hub.get_scalar(f'val/zero_shot/{who}_top1')
        assert 0 <= top1.current() <= 100
    saved = torch.load(tmp_path / 'run/backbone.pth', weights_only=True)
    for key, value in runner.model.backbone.state_dict().items():
        assert torch.equal(saved['state_dict'][f'backbone.{key}'], value), key
    assert runner.model.prediction_bank.category_names == NAMES

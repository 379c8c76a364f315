"""The configs that fit a projection, and those of LGD that use one."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmlgd.datasets import load_category_names
from mmlgd.registry import DATASETS, MODELS, TRANSFORMS
from tests.helpers import tiny_teacher_cfg
from tests.test_configs.shrink import CONFIGS

FIT = sorted(path.stem for path in (CONFIGS / 'alignment').glob('*.py'))
LGD = sorted(
    path.stem
    for path in (CONFIGS / 'lgd').glob('*.py')
    if not path.stem.startswith('r50_')
)
WIDTHS = {
    'mocov3-r50': 2048,
    'swav-r50': 2048,
    'supervised-r50': 2048,
    'dinov2-vits14': 384,
}


@pytest.mark.parametrize('name', FIT)
def test_fit_config_builds(name):
    cfg = Config.fromfile(CONFIGS / f'alignment/{name}.py')
    init_default_scope('mmlgd')
    assert cfg.target == dict(
        type='OpenCLIPTeacher', model_name='RN50', pretrained='openai'
    )
    dataset = cfg.dataloader.dataset.dataset
    assert DATASETS.get(dataset.type) and dataset.test_mode
    pipeline = [TRANSFORMS.build(step) for step in dataset.pipeline]
    assert pipeline[1].scale == (224, 224)
    assert cfg.teacher.checkpoint.startswith('https://')
    cfg.teacher.checkpoint = None
    assert MODELS.build(cfg.teacher).embed_dims == WIDTHS[name]


@pytest.mark.parametrize('name', LGD)
def test_lgd_with_an_aligned_teacher_takes_a_step(name, tmp_path):
    cfg = Config.fromfile(CONFIGS / f'lgd/{name}.py')
    init_default_scope(cfg.default_scope)
    fit = name.removesuffix('_r18')
    teacher = cfg.model.teacher
    assert teacher.projection == f'work_dirs/alignment/{fit}.pth'
    assert teacher.text_encoder == dict(model_name='RN50', pretrained='openai')
    fitted = Config.fromfile(CONFIGS / f'alignment/{fit}.py').teacher
    assert {key: teacher[key] for key in fitted} == fitted
    assert len(load_category_names(cfg.model.textual_bank.categories)) == 1000
    torch.save(nn.Linear(WIDTHS[fit], 32).state_dict(), tmp_path / 'map.pth')
    clip = tiny_teacher_cfg()
    clip.pop('type')
    teacher.update(
        checkpoint=None,
        projection=str(tmp_path / 'map.pth'),
        text_encoder=clip,
        image_size=56,
    )
    cfg.model.textual_bank.update(categories=['cat', 'dog'], templates=['a {}.'])

    model = MODELS.build(cfg.model)
    losses = model(torch.rand(2, 3, 56, 56), mode='loss')

    sum(losses.values()).backward()
    assert all(value.isfinite() for value in losses.values())
    assert model.backbone.conv1.weight.grad.abs().sum() > 0

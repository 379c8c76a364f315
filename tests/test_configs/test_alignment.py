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
    if path.stem.split('_')[0] in FIT
)
WIDTHS = {
    'mocov3-r50': 2048,
    'swav-r50': 2048,
    'supervised-r50': 2048,
    'dinov2-vits14': 384,
    'dinov3-vits16': 384,
}
# Of patches of 14 and of 16 pixels.
SIZE = 112


def without_weights(teacher) -> None:
    """Random weights in place of those that would be fetched."""
    key = 'pretrained' if teacher.type == 'TIMMTeacher' else 'checkpoint'
    assert teacher[key] == 'lvd1689m' or teacher[key].startswith('https://')
    teacher[key] = None


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
    without_weights(cfg.teacher)
    teacher = MODELS.build(cfg.teacher)
    # As large as the larger model wants.
    assert pipeline[1].scale == (max(224, teacher.image_size),) * 2
    assert teacher.embed_dims == WIDTHS[name]


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
    without_weights(teacher)
    teacher.update(
        projection=str(tmp_path / 'map.pth'),
        text_encoder=clip,
        image_size=SIZE,
    )
    if 'student_size' in cfg.model:
        cfg.model.student_size = SIZE // 2
    cfg.model.textual_bank.update(categories=['cat', 'dog'], templates=['a {}.'])

    model = MODELS.build(cfg.model)
    losses = model(torch.rand(2, 3, SIZE, SIZE), mode='loss')

    sum(losses.values()).backward()
    assert all(value.isfinite() for value in losses.values())
    assert model.backbone.conv1.weight.grad.abs().sum() > 0

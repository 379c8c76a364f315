"""A downstream backbone is the student: same tensors, and the same maps from them."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope

from mmlgd.registry import MODELS
from tests.downstream_runs import (
    CLIP,
    STUDENTS,
    assert_equals_checkpoint,
    configs_of,
    stock,
)
from tests.test_configs.shrink import CONFIGS

DOWNSTREAM = [
    (folder, name)
    for folder in ('detection', 'segmentation', 'classification')
    for name in configs_of(folder)
]


@torch.no_grad()
@pytest.mark.parametrize('student', STUDENTS)
def test_maps_are_the_students(student, in_root):
    init_default_scope('mmlgd')
    part = Config.fromfile(CONFIGS / f'_base_/downstream/backbones/{student}.py')
    whole = Config.fromfile(CONFIGS / f'_base_/students/{student}.py').student
    dense = revert_sync_batchnorm(MODELS.build(part.backbone))
    dense.init_weights()
    assert_equals_checkpoint(dense.state_dict(), student)
    distilled = MODELS.build(
        dict(whole.backbone, out_indices=part.backbone.out_indices)
    )
    distilled.load_state_dict(dense.state_dict())
    # Their eval() returns None.
    dense.eval()
    distilled.eval()

    images = torch.randn(2, 3, 64, 64)
    maps, wanted = dense(images), distilled(images)

    # Activations, eps and padding, too.
    for mine, other in zip(maps, wanted, strict=True):
        assert torch.equal(mine, other)
    assert [each.shape[1] for each in maps] == part.channels
    assert [64 // each.shape[3] for each in maps] == [4, 8, 16, 32]


@pytest.mark.parametrize(('folder', 'name'), DOWNSTREAM)
def test_normalises_as_clip_and_checks_the_loading(folder, name):
    cfg = stock(folder, name)
    used = cfg.model.get('data_preprocessor') or cfg.data_preprocessor
    assert (used.mean, used.std) == (CLIP['image_mean'], CLIP['image_std'])
    assert used.get('bgr_to_rgb') or used.get('to_rgb')
    assert dict(type='mmlgd.BackboneLoadCheckHook', preprocessing='take') in [
        dict(hook) for hook in cfg.custom_hooks
    ]
    assert cfg.default_scope in ('mmdet', 'mmseg', 'mmpretrain')

"""Training and prediction on a CUDA device; `make gpu-check` runs them, too."""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from mmlgd.apis import ZeroShotClassifier
from mmlgd.registry import MODELS
from tests.helpers import tiny_teacher
from tests.runs import toy_run_cfg, write_images
from tests.toys import toy_lgd_cfg

pytestmark = pytest.mark.gpu


def lgd(device: str) -> nn.Module:
    torch.manual_seed(0)
    model = MODELS.build(toy_lgd_cfg())
    model.build_text_banks()
    return model.to(device).train()


def wrapper_of(model: nn.Module, **options):
    config = dict(
        type='mmlgd.AmpOptimWrapper',
        constructor='mmlgd.FusedOptimWrapperConstructor',
        optimizer=dict(type='SGD', lr=0.01, momentum=0.9),
        **options,
    )
    return build_optim_wrapper(model, config)


def batch() -> dict:
    images = torch.arange(4 * 3 * 16 * 16).remainder(251).to(torch.uint8)
    return dict(inputs=images.reshape(4, 3, 16, 16).pin_memory())


def test_the_default_is_bfloat16_and_a_fused_step_where_they_exist():
    wrapper = wrapper_of(lgd('cuda'))
    native = torch.cuda.get_device_capability()[0] >= 8
    assert wrapper.cast_dtype == (torch.bfloat16 if native else torch.float16)
    assert wrapper.loss_scaler.is_enabled() != native
    if 'fused' in wrapper.optimizer.defaults:  # torch 2.3 and later
        assert wrapper.optimizer.param_groups[0]['fused'] is True


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_a_step_does_not_wait_for_the_device(dtype):
    model = lgd('cuda')
    wrapper = wrapper_of(model, dtype=dtype)
    data = batch()
    # The first steps cast the teacher, build the optimizer's state, choose algorithms.
    for _ in range(3):
        model.train_step(data, wrapper)
    torch.cuda.set_sync_debug_mode('error')
    try:
        for _ in range(3):
            model.train_step(data, wrapper)
    finally:
        torch.cuda.set_sync_debug_mode('default')


def test_a_step_in_float32_equals_that_of_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    found = []
    for device in ('cpu', 'cuda'):
        model = lgd(device)
        model.teacher.precision = 'fp32'
        config = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
        wrapper = build_optim_wrapper(model, config)
        for _ in range(3):
            model.train_step(batch(), wrapper)
        found.append({key: value.cpu() for key, value in model.state_dict().items()})
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-3)


def test_a_half_precision_teacher_keeps_its_identity():
    teacher = tiny_teacher()
    before = teacher.identity
    images = torch.randn(4, 3, 64, 64)
    full = teacher.encode_image(images)
    half = teacher.cuda().encode_image(images.cuda())
    assert teacher.half_dtype('cuda') == torch.float16
    assert teacher.identity == before
    assert half.dtype == torch.float32
    assert nn.functional.cosine_similarity(full, half.cpu()).min() > 0.99


def test_a_run_is_resumed_and_its_classifier_agrees_with_a_cpu(tmp_path):
    images = write_images(tmp_path / 'images')
    cfg = toy_run_cfg(images, tmp_path / 'run')
    cfg.optim_wrapper.update(
        type='AmpOptimWrapper', constructor='FusedOptimWrapperConstructor'
    )
    cfg.custom_hooks.append(dict(type='ChannelsLastHook'))
    init_default_scope('mmlgd')
    Runner.from_cfg(copy.deepcopy(cfg)).train()
    cfg.update(resume=True, load_from=str(tmp_path / 'run/epoch_1.pth'))
    cfg.work_dir = str(tmp_path / 'second')
    cfg.experiment_name = 'second'
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.epoch == 2
    checkpoint = tmp_path / 'second/epoch_2.pth'
    inputs = torch.randn(4, 3, 16, 16)
    scores = [ZeroShotClassifier(checkpoint, device=d) for d in ('cpu', 'cuda')]
    first, second = (each.scores(inputs) for each in scores)
    torch.testing.assert_close(first, second, rtol=0, atol=1e-3)

"""Every segmentor is trained for two iterations from a distilled backbone."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlgd.registry import MODELS
from tests.downstream_data import write_ade20k, write_cityscapes
from tests.downstream_runs import (
    assert_equals_checkpoint,
    configs_of,
    load,
    metrics_of,
    set_sizes,
    stock,
    student_of,
    train,
)

CONFIGS = configs_of('segmentation')
# mmseg's MobileNetV2 ends at the last map.
LEFT_OUT = {'mmseg.MobileNetV2': ('conv2.',)}

pytestmark = pytest.mark.usefixtures('in_root', 'data')


@pytest.fixture(scope='module')
def data(downstream_root):
    write_ade20k(downstream_root / 'data/ade/ADEChallengeData2016')
    write_cityscapes(downstream_root / 'data/cityscapes')


def shrink(cfg: Config) -> Config:
    """Small images and heads; the model keeps its backbone."""
    # LR-ASPP pools over windows of 49 x 49 at stride 8.
    side = 400 if 'LRASPP' in cfg.model.decode_head.type else 64
    set_sizes(cfg.train_dataloader.dataset.pipeline, (2 * side, side), (side, side))
    for split in ('val', 'test'):
        set_sizes(cfg[f'{split}_dataloader'].dataset.pipeline, (2 * side, side))
        cfg[f'{split}_dataloader'].dataset.indices = 2
    cfg.model.data_preprocessor.size = (side, side)
    cfg.model.decode_head.channels = 16
    return cfg


@pytest.mark.slow
@pytest.mark.parametrize('name', CONFIGS)
def test_trains_from_the_checkpoint_and_validates(name, tmp_path):
    cfg = shrink(load('segmentation', name, tmp_path))
    runner, witness = train(cfg)

    left_out = LEFT_OUT.get(cfg.model.backbone.type, ())
    assert_equals_checkpoint(witness.start, student_of(name), left_out)
    # Under DDP, a parameter without gradient is an error unless it is announced.
    assert bool(witness.unused) == cfg.get('find_unused_parameters', False)
    assert all(key.startswith('backbone.') for key in witness.unused)
    assert {'aAcc', 'mIoU', 'mAcc'} <= metrics_of(runner).keys()
    classes = 150 if 'ade20k' in name else 19
    for part in ('decode_head', 'auxiliary_head'):
        head = getattr(runner.model, part, None)
        assert head is None or head.num_classes == classes


@pytest.mark.parametrize('name', CONFIGS)
def test_crop_and_padding_are_those_of_the_name(name):
    cfg = stock('segmentation', name)
    height, width = name.rpartition('-')[2].split('x')
    size = (int(height), int(width))
    assert tuple(cfg.model.data_preprocessor.size) == size
    pipeline = cfg.train_dataloader.dataset.pipeline
    (crop,) = (step.crop_size for step in pipeline if 'crop_size' in step)
    assert tuple(crop) == size


@pytest.mark.parametrize('name', CONFIGS)
def test_batch_is_that_of_the_name(name):
    cfg = stock('segmentation', name)
    batch = 4 if '4xb4' in name else 2
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.auto_scale_lr.base_batch_size == 4 * batch


def build_pair(student: str, **options):
    """The same random weights in mmpretrain's class and in mmseg's, in eval mode."""
    kind = dict(mbv2='MobileNetV2', mbv3='MobileNetV3')[student]
    init_default_scope('mmlgd')
    state = torch.load(f'work_dirs/r50_{student}/backbone.pth', weights_only=False)
    state = {
        key.removeprefix('backbone.'): value
        for key, value in state['state_dict'].items()
        if key.startswith('backbone.')
    }
    for library in ('mmpretrain', 'mmseg'):
        backbone = MODELS.build(dict(type=f'{library}.{kind}', **options))
        backbone.load_state_dict(state, strict=library == 'mmpretrain')
        backbone.eval()
        yield backbone


@torch.no_grad()
def test_mmsegs_mobilenetv2_computes_as_the_student():
    ours, theirs = build_pair('mbv2', out_indices=(1, 2, 4, 6))
    images = torch.rand(1, 3, 64, 64)
    for mine, other in zip(ours(images), theirs(images)):
        torch.testing.assert_close(mine, other)


@torch.no_grad()
@pytest.mark.parametrize(('layer', 'shift'), [(1, 1), (3, 3)])
def test_mmsegs_mobilenetv3_computes_as_the_student_some_pixels_away(layer, shift):
    options = dict(arch='large', norm_cfg=dict(type='BN', eps=0.001))
    ours, theirs = build_pair('mbv3', **options, out_indices=(layer,))
    images = torch.rand(1, 3, 64, 64)
    moved = images.roll((-shift, -shift), (2, 3))
    mine, other = ours(moved)[0], theirs(images)[0]
    # Borders see other padding.
    inner = slice(4, -4)
    torch.testing.assert_close(mine[..., inner, inner], other[..., inner, inner])

"""Every detector is trained for two iterations from a distilled backbone."""

import pytest
from mmdet.datasets import CocoDataset, LVISV1Dataset
from mmengine.config import Config

from tests.downstream_data import write_coco, write_lvis
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

CONFIGS = configs_of('detection')
pytestmark = pytest.mark.usefixtures('in_root', 'data')


@pytest.fixture(scope='module')
def data(downstream_root):
    write_coco(downstream_root / 'data/coco', CocoDataset.METAINFO['classes'])
    write_lvis(downstream_root / 'data/lvis_v1', LVISV1Dataset.METAINFO['classes'])


def shrink(cfg: Config) -> Config:
    """Small images and few proposals; the model keeps its backbone and FPN."""
    dataset = cfg.train_dataloader.dataset
    # LVIS wraps its training set.
    for each in (
        dataset.get('dataset', dataset),
        cfg.val_dataloader.dataset,
        cfg.test_dataloader.dataset,
    ):
        set_sizes(each.pipeline, (96, 96))
    few = dict(nms_pre=50, max_per_img=10)
    if 'roi_head' in cfg.model:
        cfg.model.roi_head.bbox_head.fc_out_channels = 16
        cfg.model.train_cfg.rpn_proposal.update(few)
        cfg.model.train_cfg.rcnn.sampler.num = 16
        cfg.model.test_cfg.rpn.update(few)
        cfg.model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=10)
    else:
        # Untrained heads may give boxes of negative size only.
        cfg.model.test_cfg.update(few, score_thr=0.0, min_bbox_size=-1)
    if cfg.model.type == 'RetinaNet':
        cfg.model.bbox_head.update(stacked_convs=1)
    return cfg


@pytest.mark.slow
@pytest.mark.parametrize('name', CONFIGS)
def test_trains_from_the_checkpoint_and_validates(name, tmp_path):
    cfg = shrink(load('detection', name, tmp_path))
    runner, witness = train(cfg)

    assert_equals_checkpoint(witness.start, student_of(name))
    # Under DDP, a parameter without gradient is an error unless it is announced.
    assert bool(witness.unused) == cfg.get('find_unused_parameters', False)
    assert all(key.startswith('backbone.') for key in witness.unused)
    metrics = metrics_of(runner)
    kinds = {'bbox', 'segm'} if 'mask' in name else {'bbox'}
    library = 'lvis' if 'lvis' in name else 'coco'
    ap = {f'lvis/{k}_AP' for k in kinds} | {f'coco/{k}_mAP' for k in kinds}
    assert {key for key in metrics if key in ap} == {k for k in ap if library in k}


@pytest.mark.parametrize('name', CONFIGS)
def test_published_optimizer(name):
    cfg = stock('detection', name)
    if 'rtmdet' in name:  # its own publication's
        batch, rate, decay = 256, 0.004, 0.05
    else:
        batch, rate, decay = 16, 2e-4, 1e-4
        assert cfg.optim_wrapper.clip_grad.max_norm == 0.1
        assert cfg.train_cfg.max_epochs == 12
    assert cfg.auto_scale_lr.base_batch_size == batch
    optimizer = dict(type='AdamW', lr=rate, weight_decay=decay)
    assert dict(cfg.optim_wrapper.optimizer) == optimizer
    backbone = cfg.optim_wrapper.paramwise_cfg.custom_keys.backbone
    assert backbone == dict(lr_mult=0.1)


@pytest.mark.parametrize('data', ['coco', 'lvis-v1'])
def test_published_three_maps_of_mobilenetv2(data):
    model = stock('detection', f'mask-rcnn_mbv2_fpn_1x_{data}').model
    assert model.neck.in_channels == [32, 96, 320]
    assert model.neck.num_outs == 3
    heads = model.roi_head
    for strides in (
        model.rpn_head.anchor_generator.strides,
        heads.bbox_roi_extractor.featmap_strides,
        heads.mask_roi_extractor.featmap_strides,
    ):
        assert list(strides) == [8, 16, 32]

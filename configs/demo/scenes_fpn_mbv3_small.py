# Semantic FPN on scenes of 160 pixels, from the backbone of `make demo`. It differs
# from mmseg's model where small scenes and two CPU cores (narrow heads) or a run of
# minutes (BatchNorm in the FPN, a low weight for the background) require it.
_base_ = [
    'mmseg::_base_/models/fpn_r50.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/downstream/fashion_scenes.py',
]

width = 64
data_preprocessor = dict(**_base_.normalization, size=(160, 160))
model = dict(
    data_preprocessor=data_preprocessor,
    pretrained=None,
    backbone=dict(_delete_=True, **_base_.backbone),
    neck=dict(
        in_channels=_base_.channels, out_channels=width, norm_cfg=dict(type='BN')
    ),
    decode_head=dict(
        in_channels=[width] * 4,
        channels=width,
        num_classes=len(_base_.scene_classes),
        norm_cfg=dict(type='BN'),
        # Four fifths of the pixels are background: with equal weights, the model
        # predicts background everywhere before it learns to distinguish the items.
        loss_decode=dict(class_weight=[1.0] * 10 + [0.2]),
    ),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs'),
]
dataset = dict(
    type='BaseSegDataset',
    data_root=_base_.data_root,
    img_suffix='.png',
    reduce_zero_label=True,
    metainfo=dict(classes=_base_.scene_classes, palette=_base_.scene_palette),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        **dataset,
        data_prefix=dict(img_path='train/images', seg_map_path='annotations/train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset,
        data_prefix=dict(img_path='val/images', seg_map_path='annotations/val'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=_base_.max_iters),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'),
)
log_processor = dict(by_epoch=False, window_size=20)

# Faster on a CPU. Not used for the detector: mmcv's RoIAlign does not support this
# memory format.
custom_hooks = [*_base_.custom_hooks, dict(type='mmlgd.ChannelsLastHook')]

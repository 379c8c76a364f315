# Mask R-CNN on scenes of 160 pixels, from the backbone of `make demo`. It differs from
# mmdet's model where small scenes and two CPU cores (narrow heads, small anchors, few
# proposals) or a run of minutes (BatchNorm in the FPN, class-agnostic boxes and masks)
# require it.
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    'mmdet::_base_/default_runtime.py',
    '../_base_/downstream/fashion_scenes.py',
]

width = 64
strides = [4, 8, 16, 32]
roi_extractor = dict(
    roi_layer=dict(sampling_ratio=2),
    out_channels=width,
    featmap_strides=strides,
    # RoIs below 56 pixels use stride 4, those below 112 stride 8.
    finest_scale=28,
)
model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(_delete_=True, **_base_.backbone),
    neck=dict(
        in_channels=_base_.channels,
        out_channels=width,
        num_outs=4,
        norm_cfg=dict(type='BN'),
    ),
    rpn_head=dict(
        in_channels=width,
        feat_channels=width,
        # Anchors of 16 to 128 pixels; the items' longer sides are 28 to 96.
        anchor_generator=dict(scales=[4], strides=strides),
    ),
    roi_head=dict(
        bbox_roi_extractor=roi_extractor,
        bbox_head=dict(
            in_channels=width,
            fc_out_channels=256,
            reg_class_agnostic=True,
            num_classes=len(_base_.item_classes),
        ),
        mask_roi_extractor=roi_extractor,
        mask_head=dict(
            num_convs=2,
            in_channels=width,
            conv_out_channels=width,
            class_agnostic=True,
            num_classes=len(_base_.item_classes),
        ),
    ),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=64)),
        rpn_proposal=dict(nms_pre=300, max_per_img=100),
        rcnn=dict(sampler=dict(num=32, pos_fraction=0.5)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100), rcnn=dict(max_per_img=30)),
)
# Better than a uniform 1e-3, from distilled and from random weights.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.5)}))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    # Keeps the image size; needed for the scale factor that maps results back.
    dict(type='Resize', scale_factor=1.0),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
dataset = dict(
    type='CocoDataset',
    data_root=_base_.data_root,
    metainfo=dict(classes=_base_.item_classes, palette=_base_.item_palette),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        **dataset,
        ann_file='annotations/train.json',
        data_prefix=dict(img='train/images/'),
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
        ann_file='annotations/val.json',
        data_prefix=dict(img='val/images/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='CocoMetric',
    ann_file=_base_.data_root + 'annotations/val.json',
    metric=['bbox', 'segm'],
)
test_evaluator = val_evaluator

default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=_base_.max_iters),
)
log_processor = dict(by_epoch=False, window_size=20)

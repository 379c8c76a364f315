_base_ = [
    '../_base_/downstream/models/mask-rcnn_mbv2_fpn.py',
    'mmdet::_base_/datasets/lvis_v1_instance.py',
    '../_base_/downstream/detection.py',
    '../_base_/downstream/lvis.py',
]

model = dict(
    roi_head=dict(bbox_head=dict(num_classes=1203), mask_head=dict(num_classes=1203)),
    test_cfg=_base_.lvis_test_cfg,
)

custom_hooks = [*_base_.custom_hooks, *_base_.lvis_hooks]

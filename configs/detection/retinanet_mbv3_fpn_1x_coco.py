_base_ = [
    'mmdet::_base_/models/retinanet_r50_fpn.py',
    'mmdet::_base_/datasets/coco_detection.py',
    '../_base_/downstream/backbones/mbv3.py',
    '../_base_/downstream/detection.py',
]

# The FPN starts at stride 8 and does not use the first map.
model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(_delete_=True, **_base_.backbone),
    neck=dict(in_channels=_base_.channels),
)

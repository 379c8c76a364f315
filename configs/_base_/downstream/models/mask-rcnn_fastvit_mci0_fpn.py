_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py', '../backbones/fastvit_mci0.py']

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(_delete_=True, **_base_.backbone),
    neck=dict(in_channels=_base_.channels),
)

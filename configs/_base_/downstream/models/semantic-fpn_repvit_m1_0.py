_base_ = ['mmseg::_base_/models/fpn_r50.py', '../backbones/repvit_m1_0.py']

data_preprocessor = _base_.normalization
model = dict(
    data_preprocessor=data_preprocessor,
    pretrained=None,
    backbone=dict(_delete_=True, **_base_.backbone),
    neck=dict(in_channels=_base_.channels),
)

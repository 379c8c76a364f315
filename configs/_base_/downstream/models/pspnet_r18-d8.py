_base_ = ['mmseg::_base_/models/pspnet_r50-d8.py', '../backbones/r18.py']

# Dilation replaces the last two strides, so the same weights are used at stride 8.
data_preprocessor = _base_.normalization
model = dict(
    data_preprocessor=data_preprocessor,
    pretrained=None,
    backbone=dict(
        _delete_=True,
        **_base_.backbone,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
    ),
    decode_head=dict(in_channels=512, channels=128),
    auxiliary_head=dict(in_channels=256, channels=64),
)

_base_ = ['mmseg::_base_/models/deeplabv3plus_r50-d8.py', '../backbones/mbv2.py']

# mmpretrain's MobileNetV2 does not support dilation. mmseg's does, and has the same
# tensors under the same names, except those of the convolution after the last output
# map.
data_preprocessor = _base_.normalization
model = dict(
    data_preprocessor=data_preprocessor,
    pretrained=None,
    backbone=dict(
        _delete_=True,
        **{**_base_.backbone, 'type': 'mmseg.MobileNetV2'},
        strides=(1, 2, 2, 1, 1, 1, 1),
        dilations=(1, 1, 1, 2, 2, 4, 4),
    ),
    decode_head=dict(in_channels=320, c1_in_channels=24),
    auxiliary_head=dict(in_channels=96),
)
find_unused_parameters = False

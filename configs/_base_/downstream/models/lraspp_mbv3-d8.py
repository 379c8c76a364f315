_base_ = ['mmseg::_base_/models/lraspp_m-v3-d8.py', '../backbones/mbv3.py']

# mmseg's MobileNetV3 dilates its last two stages; otherwise the head's window of 49 x
# 49 would be larger than the last map. It has the same tensors under the same names.
# Its convolutions of stride 2 pad two sides instead of four, which shifts the maps of
# stride 2, 4, 8 by 1, 3, 7 image pixels.
data_preprocessor = _base_.normalization
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(
        _delete_=True,
        **{
            **_base_.backbone,
            'type': 'mmseg.MobileNetV3',
            'out_indices': (1, 3, 16),
        },
    ),
)
find_unused_parameters = False

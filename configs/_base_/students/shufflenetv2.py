# ShuffleNetV2 1.0x: 1.3 M parameters. It has no feature map of stride 4.
student = dict(
    backbone=dict(type='mmpretrain.ShuffleNetV2', widen_factor=1.0),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

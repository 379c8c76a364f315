# MobileNetV2: 2.2 M parameters.
student = dict(
    backbone=dict(type='mmpretrain.MobileNetV2', widen_factor=1.0),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

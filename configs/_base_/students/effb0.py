# EfficientNet-B0: 4.0 M parameters.
student = dict(
    backbone=dict(type='mmpretrain.EfficientNet', arch='b0'),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

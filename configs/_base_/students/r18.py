# ResNet-18: 11.2 M parameters.
student = dict(
    backbone=dict(type='mmpretrain.ResNet', depth=18, out_indices=(3,)),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

# ResNet-34: 21.3 M parameters.
student = dict(
    backbone=dict(type='mmpretrain.ResNet', depth=34, out_indices=(3,)),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

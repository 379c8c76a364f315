# MobileOne-s0 with its training-time branches: 4.3 M parameters.
student = dict(
    backbone=dict(type='mmpretrain.MobileOne', arch='s0', out_indices=(3,)),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

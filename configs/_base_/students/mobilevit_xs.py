# MobileViT-x-small: 1.9 M parameters.
student = dict(
    backbone=dict(type='mmpretrain.MobileViT', arch='x_small'),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

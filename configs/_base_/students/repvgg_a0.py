# RepVGG-A0 with its training-time branches: 7.8 M parameters.
student = dict(
    backbone=dict(type='mmpretrain.RepVGG', arch='A0', out_indices=(3,)),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

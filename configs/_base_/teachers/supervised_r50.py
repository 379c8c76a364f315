# A ResNet-50 trained with ImageNet-1k's labels, as published by mmpretrain: 2048
# features, no text. `checkpoint` also takes a local file.
teacher = dict(
    type='MMPretrainTeacher',
    backbone=dict(type='mmpretrain.ResNet', depth=50, out_indices=(3,)),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    checkpoint='https://mmassets.onedl.ai/mmclassification/v0/resnet/'
    'resnet50_8xb32_in1k_20210831-ea4938fc.pth',
)

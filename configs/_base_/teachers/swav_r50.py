# SwAV's ResNet-50 (200 epochs on ImageNet-1k without labels), as published by
# mmpretrain: 2048 features, no text. `checkpoint` also takes a local file.
teacher = dict(
    type='MMPretrainTeacher',
    backbone=dict(type='mmpretrain.ResNet', depth=50, out_indices=(3,)),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    checkpoint='https://mmassets.onedl.ai/mmselfsup/1.x/swav/'
    'swav_resnet50_8xb32-mcrop-2-6-coslr-200e_in1k-224-96/'
    'swav_resnet50_8xb32-mcrop-2-6-coslr-200e_in1k-224-96_20220825-5b3fc7fc.pth',
)

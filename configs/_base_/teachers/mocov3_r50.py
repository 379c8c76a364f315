# MoCo v3's ResNet-50 (300 epochs on ImageNet-1k without labels), as published by
# mmpretrain: 2048 features, no text. `checkpoint` also takes a local file.
teacher = dict(
    type='MMPretrainTeacher',
    backbone=dict(type='mmpretrain.ResNet', depth=50, out_indices=(3,)),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    checkpoint='https://mmassets.onedl.ai/mmselfsup/1.x/mocov3/'
    'mocov3_resnet50_8xb512-amp-coslr-300e_in1k/'
    'mocov3_resnet50_8xb512-amp-coslr-300e_in1k_20220927-1e4f3304.pth',
)

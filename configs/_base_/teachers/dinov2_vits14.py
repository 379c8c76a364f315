# DINOv2's ViT-S/14, as published by mmpretrain: 384 features, no text. It was trained
# at 518 pixels; at 224 the backbone resizes its position embeddings. `checkpoint` also
# takes a local file.
teacher = dict(
    type='MMPretrainTeacher',
    backbone=dict(
        type='mmpretrain.VisionTransformer',
        arch='dinov2-small',
        img_size=518,
        patch_size=14,
        layer_scale_init_value=1e-5,
    ),
    checkpoint='https://mmassets.onedl.ai/mmpretrain/v1.0/dinov2/'
    'vit-small-p14_dinov2-pre_3rdparty_20230426-5641ca5a.pth',
)

# DINOv3's ViT-S/16 (Meta, under its own licence), as timm has it: 384 features, images of
# 256 x 256, no text. `global_pool` is that of its authors; timm would average the patches.
# `pretrained` also takes a local weight file.
teacher = dict(
    type='TIMMTeacher',
    model_name='vit_small_patch16_dinov3',
    pretrained='lvd1689m',
    global_pool='token',
)

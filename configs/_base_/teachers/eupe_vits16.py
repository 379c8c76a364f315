# EUPE's ViT-S/16 (Meta, for non-commercial research), as timm has it: 384 features, images
# of 256 x 256, no text. `pretrained` also takes a local weight file.
teacher = dict(
    type='TIMMTeacher',
    model_name='vit_small_patch16_dinov3_qkvb',
    pretrained='eupe_lvd1689m',
    global_pool='token',
)

# DINOv3's ConvNeXt-T (Meta, under its own licence), as timm has it: 768 features, images
# of 224 x 224, no text. `pretrained` also takes a local weight file.
teacher = dict(
    type='TIMMTeacher', model_name='convnext_tiny', pretrained='dinov3_lvd1689m'
)

# ViT-Ti/16: 5.5 M parameters. Any other ViT of timm by its name:
# model.backbone.model_name=deit3_small_patch16_224. It pools as it was built to (class
# token, mean of the patches, attention), so there is no neck; no maps for detectors.
student = dict(
    backbone=dict(
        type='mmlgd.TIMMBackbone',
        model_name='vit_tiny_patch16_224',
        pooled=True,
        img_size=224,
    ),
    neck=None,
)

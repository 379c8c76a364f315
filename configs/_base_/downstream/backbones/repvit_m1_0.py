# RepViT-M1.0.
_base_ = './timm.py'

backbone = dict(
    model_name='repvit_m1_0',
    init_cfg=dict(checkpoint='work_dirs/r50_repvit_m1_0/backbone.pth'),
)
channels = [56, 112, 224, 448]

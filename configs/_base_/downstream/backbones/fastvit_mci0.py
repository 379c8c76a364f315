# FastViT-MCi0.
_base_ = './timm.py'

backbone = dict(
    model_name='fastvit_mci0',
    init_cfg=dict(checkpoint='work_dirs/r50_fastvit_mci0/backbone.pth'),
)
channels = [64, 128, 256, 512]

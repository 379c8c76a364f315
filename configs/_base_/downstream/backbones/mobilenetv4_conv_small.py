# MobileNetV4-conv-small. Its first map has stride 2.
_base_ = './timm.py'

backbone = dict(
    model_name='mobilenetv4_conv_small',
    out_indices=(1, 2, 3, 4),
    init_cfg=dict(checkpoint='work_dirs/r50_mobilenetv4_conv_small/backbone.pth'),
)
channels = [32, 64, 96, 960]

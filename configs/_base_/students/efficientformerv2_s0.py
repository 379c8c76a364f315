# EfficientFormerV2-S0: 3.2 M parameters. It takes images of one size.
_base_ = './timm.py'

student = dict(backbone=dict(model_name='efficientformerv2_s0', img_size=224))

# RepViT-M1.0 with its training-time branches: 6.4 M parameters.
_base_ = './timm.py'

student = dict(backbone=dict(model_name='repvit_m1_0'))

# EfficientViT-B0 (MIT's): 0.7 M parameters, without its classifier's wide layers.
_base_ = './timm.py'

student = dict(backbone=dict(model_name='efficientvit_b0'))

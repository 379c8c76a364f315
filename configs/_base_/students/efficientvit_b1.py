# EfficientViT-B1 (MIT's): 4.6 M parameters, without its classifier's wide layers.
_base_ = './timm.py'

student = dict(backbone=dict(model_name='efficientvit_b1'))

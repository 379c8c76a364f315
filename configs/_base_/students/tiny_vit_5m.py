# TinyViT-5m of timm, which takes images of any size: 5.1 M parameters.
_base_ = './timm.py'

student = dict(backbone=dict(model_name='tiny_vit_5m_224'))

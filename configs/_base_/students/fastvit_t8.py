# FastViT-T8 with its training-time branches: 3.2 M parameters.
_base_ = './timm.py'

student = dict(backbone=dict(model_name='fastvit_t8'))

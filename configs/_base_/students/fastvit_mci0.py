# FastViT-MCi0, the smallest image tower of MobileCLIP, with its training-time branches:
# 10.7 M parameters.
_base_ = './timm.py'

student = dict(backbone=dict(model_name='fastvit_mci0'))

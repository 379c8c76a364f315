# GhostNetV3 1.0x with its training-time branches: 1.9 M parameters.
_base_ = './timm.py'

student = dict(backbone=dict(model_name='ghostnetv3_100'))

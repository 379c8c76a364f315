# StarNet-S1: 2.7 M parameters.
_base_ = './timm.py'

student = dict(backbone=dict(model_name='starnet_s1'))

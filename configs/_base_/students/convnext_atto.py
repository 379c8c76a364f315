# ConvNeXt-atto: 3.4 M parameters.
_base_ = './timm.py'

student = dict(backbone=dict(model_name='convnext_atto'))

# MobileNetV4-conv-small: 1.3 M parameters, without the layer behind the pooling.
_base_ = './timm.py'

student = dict(backbone=dict(model_name='mobilenetv4_conv_small'))

# MobileNetV3-small: 0.9 M parameters.
# Its BatchNorm momentum is 0.01: in a short run (under some thousand iterations)
# the running statistics stay near their start. Set `norm_cfg` momentum 0.1 there.
student = dict(
    backbone=dict(type='mmpretrain.MobileNetV3', arch='small'),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

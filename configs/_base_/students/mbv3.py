# MobileNetV3-large: 3.0 M parameters. Its BatchNorm momentum is 0.01: in a short run
# (less than a few thousand iterations) the running statistics stay close to their
# initial values. Use momentum 0.1 in `norm_cfg` there.
student = dict(
    backbone=dict(type='mmpretrain.MobileNetV3', arch='large'),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

student = dict(
    backbone=dict(
        type='mmpretrain.MobileNetV3',
        arch='small',
        # Its own momentum, 0.01, leaves the running statistics near their start in a
        # run of some hundred iterations.
        norm_cfg=dict(type='BN', eps=1e-3, momentum=0.1),
    ),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

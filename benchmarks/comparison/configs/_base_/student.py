student = dict(
    backbone=dict(
        type='mmpretrain.MobileNetV3',
        arch='small',
        # With the default momentum of 0.01, the running statistics would stay close to
        # their initial values in a run of a few hundred iterations.
        norm_cfg=dict(type='BN', eps=1e-3, momentum=0.1),
    ),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

# PoolFormer-s12: 11.4 M parameters. The backbone has a norm for each map it gives, so
# it gives all of them here and a detector finds every key. The last one is distilled;
# the earlier norms stay as they start, the identity.
student = dict(
    backbone=dict(
        type='mmpretrain.PoolFormer',
        arch='s12',
        out_indices=(0, 2, 4, 6),
        init_cfg=[
            dict(type='TruncNormal', layer=['Conv2d', 'Linear'], std=0.02, bias=0.0),
            dict(type='Constant', layer=['GroupNorm'], val=1.0, bias=0.0),
        ],
    ),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

# PoolFormer-s12: 11.4 M parameters. There is one norm per output map, so all maps are
# output here and a detector finds every key. The last map is distilled; the norms of
# the earlier maps keep their initial values (identity).
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

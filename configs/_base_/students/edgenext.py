# EdgeNeXt-small: 5.3 M parameters. The last norm is applied before pooling, as needed
# downstream. There is one norm per output map, so all maps are output here and a
# detector finds every key. The norms of the earlier maps keep their initial values
# (identity).
student = dict(
    backbone=dict(
        type='mmpretrain.EdgeNeXt',
        arch='small',
        out_indices=(0, 1, 2, 3),
        gap_before_final_norm=False,
        init_cfg=[
            dict(type='TruncNormal', layer=['Conv2d', 'Linear'], std=0.02, bias=0.0),
            dict(type='Constant', layer=['LayerNorm'], val=1.0, bias=0.0),
        ],
    ),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

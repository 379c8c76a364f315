# EdgeNeXt-small: 5.3 M parameters. The last norm stays in front of the pooling, as
# downstream use wants it. There is a norm for each map, so all maps are given here and
# a detector finds every key; the earlier norms stay as they start, the identity.
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

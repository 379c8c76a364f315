# TinyViT-5m: 5.1 M parameters, for classification only: its input size is fixed, and
# its first feature map has stride 8. The backbone includes pooling, so there is no
# neck.
student = dict(
    backbone=dict(
        type='mmpretrain.TinyViT',
        arch='5m',
        img_size=(224, 224),
        out_indices=(3,),
        drop_path_rate=0.0,
        gap_before_final_norm=True,
        init_cfg=[
            dict(type='TruncNormal', layer=['Conv2d', 'Linear'], std=0.02, bias=0.0),
            dict(type='Constant', layer=['LayerNorm'], val=1.0, bias=0.0),
        ],
    ),
    neck=None,
)

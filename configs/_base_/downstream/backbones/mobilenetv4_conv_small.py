# MobileNetV4-conv-small for dense prediction: maps of stride 4, 8, 16, 32.
_base_ = '../normalization.py'

backbone = dict(
    type='mmlgd.TIMMBackbone',
    model_name='mobilenetv4_conv_small',
    features_only=True,
    out_indices=(1, 2, 3, 4),
    # Not frozen, statistics over all GPUs: see r18.py.
    frozen=False,
    norm_eval=False,
    sync_bn=True,
    init_cfg=dict(
        type='Pretrained',
        checkpoint='work_dirs/r50_mobilenetv4_conv_small/backbone.pth',
        prefix='backbone.',
    ),
)
channels = [32, 64, 96, 960]

# RepViT-M1.0 for dense prediction: maps of stride 4, 8, 16, 32. Its
# training-time branches stay; `mmlgd export --fuse` fuses them.
_base_ = '../normalization.py'

backbone = dict(
    type='mmlgd.TIMMBackbone',
    model_name='repvit_m1_0',
    features_only=True,
    out_indices=(0, 1, 2, 3),
    # Not frozen, statistics over all GPUs: see r18.py.
    frozen=False,
    norm_eval=False,
    sync_bn=True,
    init_cfg=dict(
        type='Pretrained',
        checkpoint='work_dirs/r50_repvit_m1_0/backbone.pth',
        prefix='backbone.',
    ),
)
channels = [56, 112, 224, 448]

# A network of timm for dense prediction: a config adds its name, the maps of stride 4, 8,
# 16, 32 and their channels. Its training-time branches stay; `mmlgd export --fuse` fuses
# them.
_base_ = '../normalization.py'

backbone = dict(
    type='mmlgd.TIMMBackbone',
    features_only=True,
    out_indices=(0, 1, 2, 3),
    # Not frozen, statistics over all GPUs: see r18.py.
    frozen=False,
    norm_eval=False,
    sync_bn=True,
    init_cfg=dict(type='Pretrained', prefix='backbone.'),
)

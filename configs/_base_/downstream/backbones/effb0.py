# EfficientNet-B0 for dense prediction: maps of stride 4, 8, 16, 32. Its swish stays.
_base_ = '../normalization.py'

backbone = dict(
    type='mmpretrain.EfficientNet',
    arch='b0',
    out_indices=(2, 3, 4, 5),
    # Not frozen (0 means no stage here), statistics over all GPUs: see r18.py. `eps`
    # is the student's: with BN's usual 1e-5 the same weights would give other features.
    # norm_eval is no choice: mmpretrain's EfficientNet applies it to BN only.
    frozen_stages=0,
    norm_eval=False,
    norm_cfg=dict(type='SyncBN', eps=0.001, requires_grad=True),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='work_dirs/r50_effb0/backbone.pth',
        prefix='backbone.',
    ),
)
channels = [24, 40, 112, 320]

# The last convolution (320 -> 1280) lies behind the last map and gets no gradient.
find_unused_parameters = True

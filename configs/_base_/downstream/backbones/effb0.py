# EfficientNet-B0 for dense prediction: feature maps of stride 4, 8, 16, 32, with its
# swish activation.
_base_ = '../normalization.py'

backbone = dict(
    type='mmpretrain.EfficientNet',
    arch='b0',
    out_indices=(2, 3, 4, 5),
    # Not frozen (0 freezes no stage here), SyncBN: see r18.py. `eps` is the student's:
    # with the default of 1e-5 the same weights would give different features. norm_eval
    # cannot be used: mmpretrain's EfficientNet applies it to BN only, not to SyncBN.
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

# The last convolution (320 -> 1280) comes after the last output map and gets no
# gradient.
find_unused_parameters = True

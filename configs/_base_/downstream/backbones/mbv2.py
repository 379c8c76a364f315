# MobileNetV2 for dense prediction: feature maps of stride 4, 8, 16, 32, with its ReLU6
# activation.
_base_ = '../normalization.py'

backbone = dict(
    type='mmpretrain.MobileNetV2',
    widen_factor=1.0,
    out_indices=(1, 2, 4, 6),
    # Not frozen, SyncBN: see r18.py.
    frozen_stages=-1,
    norm_eval=False,
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='work_dirs/r50_mbv2/backbone.pth',
        prefix='backbone.',
    ),
)
channels = [24, 32, 96, 320]

# The last convolution (320 -> 1280) comes after the last output map and gets no
# gradient.
find_unused_parameters = True

# MobileNetV3-large for dense prediction: feature maps of stride 4, 8, 16, 32, with its
# ReLU and hard swish activations.
_base_ = '../normalization.py'

backbone = dict(
    type='mmpretrain.MobileNetV3',
    arch='large',
    out_indices=(3, 6, 12, 15),
    # Not frozen, SyncBN: see r18.py. `eps` is the student's: with the default of 1e-5
    # the same weights would give different features. `momentum` is the student's as
    # well; runs of less than a few thousand iterations need 0.1.
    frozen_stages=-1,
    norm_eval=False,
    norm_cfg=dict(type='SyncBN', eps=0.001, momentum=0.01, requires_grad=True),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='work_dirs/r50_mbv3/backbone.pth',
        prefix='backbone.',
    ),
)
channels = [24, 40, 112, 160]

# The last convolution (160 -> 960) comes after the last output map and gets no
# gradient.
find_unused_parameters = True

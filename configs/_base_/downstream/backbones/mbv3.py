# MobileNetV3-large for dense prediction: maps of stride 4, 8, 16, 32. Its ReLU and
# hard swish stay.
_base_ = '../normalization.py'

backbone = dict(
    type='mmpretrain.MobileNetV3',
    arch='large',
    out_indices=(3, 6, 12, 15),
    # Not frozen, statistics over all GPUs: see r18.py. `eps` is the student's: with
    # BN's usual 1e-5 the same weights would give other features. `momentum` is its
    # too; a run of less than some thousand iterations needs 0.1.
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

# The last convolution (160 -> 960) lies behind the last map and gets no gradient.
find_unused_parameters = True

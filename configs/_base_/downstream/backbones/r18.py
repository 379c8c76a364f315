# ResNet-18 for dense prediction: feature maps of stride 4, 8, 16, 32.
_base_ = '../normalization.py'

backbone = dict(
    type='mmpretrain.ResNet',
    depth=18,
    out_indices=(0, 1, 2, 3),
    # No stage is frozen: the weights were trained without labels of the task, and the
    # backbone's low learning rate protects them. Frozen statistics would be those of
    # crops of 224 pixels. With two images per GPU, statistics must be computed over all
    # GPUs, so SyncBN is used. A run of one process converts it to BN; for small
    # batches, set norm_eval=True there.
    frozen_stages=-1,
    norm_eval=False,
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='work_dirs/r50_r18/backbone.pth',
        prefix='backbone.',
    ),
)
channels = [64, 128, 256, 512]

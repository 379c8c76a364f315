# ResNet-18 for dense prediction: maps of stride 4, 8, 16, 32.
_base_ = '../normalization.py'

backbone = dict(
    type='mmpretrain.ResNet',
    depth=18,
    out_indices=(0, 1, 2, 3),
    # Nothing is frozen: the weights come from no labels of the task, and the low
    # learning rate of the backbone protects them. Frozen statistics would be those of
    # crops of 224 pixels. With two images a GPU, batch statistics need all GPUs, hence
    # SyncBN, which a run of one process turns into BN; there, with a batch as small,
    # set norm_eval=True.
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

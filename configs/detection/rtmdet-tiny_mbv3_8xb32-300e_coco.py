_base_ = [
    'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    '../_base_/downstream/backbones/mbv3.py',
]

# RTMDet-tiny as published, on feature maps of stride 8, 16, 32. (mmdet's SSDLite would
# also be suitable, but its head cannot predict since mmdet 3.2: mmdet issues 11063 and
# 11780.)
model = dict(
    # mmdet's config normalises BGR images.
    data_preprocessor=dict(**_base_.normalization, bgr_to_rgb=True),
    backbone=dict(_delete_=True, **{**_base_.backbone, 'out_indices': (6, 12, 15)}),
    neck=dict(in_channels=_base_.channels[1:]),
)

# RTMDet's recipe, with a lower learning rate for the distilled backbone. This custom
# key also applies weight decay to the backbone's norms, at a tenth.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}))
# 8 GPUs x 32; mmdet's config still has 16.
auto_scale_lr = dict(base_batch_size=256)

custom_hooks = [
    dict(type='mmlgd.BackboneLoadCheckHook', preprocessing='take'),
    *_base_.custom_hooks,
]

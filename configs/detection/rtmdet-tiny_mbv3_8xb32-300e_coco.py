_base_ = [
    'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    '../_base_/downstream/backbones/mbv3.py',
]

# RTMDet-tiny as published, on maps of stride 8, 16, 32. (mmdet's SSDLite would suit
# as well, but its head cannot predict since mmdet 3.2: issues 11063 and 11780.)
model = dict(
    # The stock config normalises BGR.
    data_preprocessor=dict(**_base_.normalization, bgr_to_rgb=True),
    backbone=dict(_delete_=True, **{**_base_.backbone, 'out_indices': (6, 12, 15)}),
    neck=dict(in_channels=_base_.channels[1:]),
)

# Its own recipe, with the rate of the backbone that suits distilled weights. A rate by
# name brings the weight decay back to the backbone's norms, at a tenth.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}))
# 8 GPUs x 32; the stock config still says 16.
auto_scale_lr = dict(base_batch_size=256)

custom_hooks = [
    dict(type='mmlgd.BackboneLoadCheckHook', preprocessing='take'),
    *_base_.custom_hooks,
]

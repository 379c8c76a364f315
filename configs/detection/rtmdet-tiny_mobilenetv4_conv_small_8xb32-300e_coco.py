_base_ = [
    'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    '../_base_/downstream/backbones/mobilenetv4_conv_small.py',
]

# As rtmdet-tiny_mbv3_8xb32-300e_coco.py, on maps of stride 8, 16, 32.
model = dict(
    data_preprocessor=dict(**_base_.normalization, bgr_to_rgb=True),
    backbone=dict(_delete_=True, **{**_base_.backbone, 'out_indices': (2, 3, 4)}),
    neck=dict(in_channels=_base_.channels[1:]),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}))
auto_scale_lr = dict(base_batch_size=256)

custom_hooks = [
    dict(type='mmlgd.BackboneLoadCheckHook', preprocessing='take'),
    *_base_.custom_hooks,
]

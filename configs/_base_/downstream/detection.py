# The paper's fine-tuning of detectors: AdamW and gradient clipping instead of mmdet's
# default SGD, 12 epochs, batch size 16 (8 GPUs x 2).
_base_ = [
    'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py',
]

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-4, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
    clip_grad=dict(max_norm=0.1, norm_type=2),
)

# Stops the run unless every tensor of the checkpoint is loaded into the backbone; takes
# mean and std from the checkpoint.
custom_hooks = [
    dict(type='mmlgd.BackboneLoadCheckHook', preprocessing='take'),
    dict(type='mmlgd.DatasetCheckHook'),
]

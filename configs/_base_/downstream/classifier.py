# A linear classifier on a distilled backbone with pooling. A config adds the backbone,
# the neck and the head's `in_channels`.
_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs32_pil_resize.py',
    'mmpretrain::_base_/schedules/imagenet_sgd_coslr_100e.py',
    'mmpretrain::_base_/default_runtime.py',
    './normalization.py',
]

data_preprocessor = _base_.normalization
model = dict(
    type='ImageClassifier',
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
    ),
)
default_hooks = dict(checkpoint=dict(interval=10, max_keep_ckpts=3))
# For batch size 256 (8 GPUs x 32); --auto-scale-lr scales the learning rate for others.
auto_scale_lr = dict(base_batch_size=256, enable=False)

# Stops the run unless every tensor of the checkpoint is loaded into the backbone; takes
# mean and std from the checkpoint.
custom_hooks = [
    dict(type='mmlgd.BackboneLoadCheckHook', preprocessing='take'),
    dict(type='mmlgd.DatasetCheckHook'),
]

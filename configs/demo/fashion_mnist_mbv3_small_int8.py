# The quantisation-aware finish of the demo: another two epochs from its checkpoint, with
# the same teacher and losses, while weights and activations are rounded as in int8.
_base_ = './fashion_mnist_mbv3_small.py'

load_from = 'work_dirs/demo/epoch_10.pth'
optim_wrapper = dict(optimizer=dict(lr=0.02))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=2,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(max_epochs=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=2))
custom_hooks = [*_base_.custom_hooks, dict(type='QuantisationAwareHook')]

# The demo's student trained from scratch with all 8,000 labels: what a linear probe of
# the distilled one is compared with (`make demo-probe`). Views, batch, schedule and
# optimizer are the distillation's (fashion_mnist_mbv3_small.py).
_base_ = [
    '../_base_/downstream/classifier.py',
    '../_base_/datasets/fashion_mnist.py',
    '../_base_/students/mbv3_small.py',
]

model = dict(
    # BatchNorm's momentum as in the distillation, for the same short schedule.
    backbone=dict(
        **_base_.student.backbone,
        norm_cfg=dict(type='BN', eps=1e-3, momentum=0.1),
    ),
    neck=_base_.student.neck,
    head=dict(num_classes=10, in_channels=576),
)
data_preprocessor = dict(num_classes=10)

train_dataloader = dict(
    batch_size=128,
    num_workers=2,
    drop_last=True,
    dataset=dict(_delete_=True, **_base_.fashion_mnist_train),
)
val_dataloader = dict(
    batch_size=200,
    num_workers=2,
    dataset=dict(_delete_=True, **_base_.fashion_mnist_test),
)
test_dataloader = val_dataloader

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=0.24, momentum=0.9, weight_decay=1e-4)
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.125,
        by_epoch=True,
        begin=0,
        end=1,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        T_max=9,
        by_epoch=True,
        begin=1,
        end=10,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(max_epochs=10, val_interval=10)
default_hooks = dict(checkpoint=dict(interval=10, max_keep_ckpts=1))
# Nothing is loaded, so there is nothing to check.
custom_hooks = []

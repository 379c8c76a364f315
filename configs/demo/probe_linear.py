# A linear probe of the demo's distilled backbone with all labels and with augmentation:
#     python tools/train.py configs/demo/probe_linear.py
# `make demo-probe` instead fits its probes on precomputed features, which takes
# seconds.
_base_ = [
    '../_base_/downstream/linear_probe.py',
    '../_base_/datasets/fashion_mnist.py',
    '../_base_/students/mbv3_small.py',
]

model = dict(
    backbone=dict(
        **_base_.student.backbone,
        norm_cfg=dict(type='BN', eps=1e-3, momentum=0.1),
        frozen_stages=12,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/demo/backbone.pth',
            prefix='backbone.',
        ),
    ),
    neck=_base_.student.neck,
    head=dict(num_classes=10, in_channels=576),
)
data_preprocessor = dict(num_classes=10)

train_dataloader = dict(
    batch_size=256,
    num_workers=2,
    dataset=dict(_delete_=True, **_base_.fashion_mnist_train),
)
val_dataloader = dict(
    batch_size=200,
    num_workers=2,
    dataset=dict(_delete_=True, **_base_.fashion_mnist_test),
)
test_dataloader = val_dataloader

# Not the published 30. Fitted without augmentation on 1,200 training images, with the
# features of an early checkpoint, 30 reached 81.5 % of 2,000 held-out training images
# and 0.3 reached 84.1 %. It was not tuned for this run.
optim_wrapper = dict(optimizer=dict(lr=0.3))

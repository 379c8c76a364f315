# LGD on the 8,000 unlabeled Fashion-MNIST images of the repository: a CLIP with 3 M
# parameters teaches MobileNetV3-small in minutes on two CPU cores (`make demo`). It
# differs from the default config where small images and a short run require it.
_base_ = [
    '../_base_/models/lgd.py',
    '../_base_/students/mbv3_small.py',
    '../_base_/datasets/fashion_mnist.py',
    '../_base_/default_runtime.py',
]

model = dict(
    teacher=dict(
        type='OpenCLIPTeacher',
        model_name='fashion-clip',
        model_config='demo/teacher/fashion-clip.json',
        pretrained='demo/teacher/fashion-clip.pt',
    ),
    # With the backbone's default BatchNorm momentum of 0.01, the running statistics
    # stay close to their initial values in runs of up to a few thousand iterations.
    backbone=dict(
        **{
            **_base_.student.backbone,
            'norm_cfg': dict(type='BN', eps=1e-3, momentum=0.1),
        }
    ),
    neck=_base_.student.neck,
    textual_bank=dict(categories='fashion_mnist'),
    # 0.999 averages over a thousand batches, more than in this run.
    visual_bank=dict(momentum=0.99),
)

train_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='ViewSampler', shuffle=True),
    # This dataset also reads the labels, but training does not use them.
    dataset=dict(
        type='SeededViews',
        dataset=_base_.fashion_mnist_train,
    ),
)
val_dataloader = dict(
    batch_size=200,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=_base_.fashion_mnist_test,
)
val_evaluator = dict(type='ZeroShotAccuracy', topk=(1, 5))
test_dataloader = val_dataloader
test_evaluator = val_evaluator

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.24, momentum=0.9, weight_decay=1e-4)
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
train_cfg = dict(by_epoch=True, max_epochs=10, val_interval=5)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(checkpoint=dict(interval=5, max_keep_ckpts=1))
# Convolutions on two CPU cores are nearly twice as fast in this memory format.
custom_hooks = [
    *(hook for hook in _base_.custom_hooks if hook['type'] != 'ChannelsLastHook'),
    dict(type='ChannelsLastHook'),
]

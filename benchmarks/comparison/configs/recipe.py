# What every method of a benchmark has in common: student, batch, iterations, optimizer.
# One thread of a CPU takes about a third of a second for an iteration of LGD.
_base_ = '../../_base_/default_runtime.py'

iterations = 430
warm_up = 60

student = dict(
    backbone=dict(
        type='mmpretrain.MobileNetV3',
        arch='small',
        # Its own momentum, 0.01, leaves the running statistics near their start in a
        # run of some hundred iterations.
        norm_cfg=dict(type='BN', eps=1e-3, momentum=0.1),
    ),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

# No workers: a run keeps to one core, and loading counts as part of its cost.
loader = dict(num_workers=0, collate_fn=dict(type='default_collate'))
train_loader = dict(
    **loader,
    batch_size=128,
    drop_last=True,
    sampler=dict(type='ViewSampler', shuffle=True, infinite=True),
)
eval_loader = dict(
    **loader, batch_size=250, sampler=dict(type='DefaultSampler', shuffle=False)
)
val_evaluator = dict(type='ZeroShotAccuracy', topk=(1,))
test_evaluator = val_evaluator

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.24, momentum=0.9, weight_decay=1e-4)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.125, by_epoch=False, begin=0, end=warm_up),
    dict(
        type='CosineAnnealingLR',
        T_max=iterations - warm_up,
        by_epoch=False,
        begin=warm_up,
        end=iterations,
    ),
]
train_cfg = dict(by_epoch=False, max_iters=iterations, val_interval=iterations)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=1),
)
log_processor = dict(by_epoch=False, window_size=10)
custom_hooks = [
    # ShortHistoryHook has nothing to cut in so short a run.
    *(hook for hook in _base_.custom_hooks if hook['type'] != 'ShortHistoryHook'),
    # Two and a half times as fast for depthwise convolutions on a CPU.
    dict(type='ChannelsLastHook'),
    dict(type='TrainingCostHook'),
]

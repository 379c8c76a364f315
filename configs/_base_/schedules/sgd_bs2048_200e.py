# The paper's settings for a global batch of 2048 (8 x 256): lr is 0.03 * 2048 / 256.
# `--auto-scale-lr` keeps this ratio for other batch sizes. The learning rate is updated
# every iteration; the authors' code sets it once per epoch
# (sgd_bs2048_200e_epochwise.py).
optim_wrapper = dict(
    type='AmpOptimWrapper',
    # bfloat16 on GPUs that have it, which needs no loss scaling; otherwise float16.
    dtype='auto',
    constructor='FusedOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.24, momentum=0.9, weight_decay=1e-4),
)
auto_scale_lr = dict(base_batch_size=2048, enable=False)

param_scheduler = [
    # From 0.03 to 0.24.
    dict(
        type='LinearLR',
        start_factor=0.125,
        by_epoch=True,
        begin=0,
        end=5,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        T_max=195,
        by_epoch=True,
        begin=5,
        end=200,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=5)
val_cfg = dict()
test_cfg = dict()

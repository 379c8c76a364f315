_base_ = './sgd_bs2048_200e.py'

param_scheduler = [
    _base_.param_scheduler[0],
    dict(
        type='CosineAnnealingLR',
        T_max=85,
        by_epoch=True,
        begin=5,
        end=90,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(max_epochs=90)

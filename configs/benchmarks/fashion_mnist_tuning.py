# Settings that suit the scale of the benchmark, chosen on the validation images, with a
# seed that the comparison does not use. What won stands in fashion_mnist/*.py.
_base_ = './fashion_mnist.py'

name = 'fashion_mnist_tuning'
title = 'Settings tried on Fashion-MNIST, validation images'
split = 'val'
seeds = [100]
evaluations = ['zero_shot', 'probe', 'knn']

# Method and what is tried of it: dotted key to values. The rest stays.
candidates = dict(
    lgd={
        'optim_wrapper.optimizer.lr': [0.06, 0.12, 0.24, 0.48],
    },
    seed={
        'optim_wrapper.optimizer.lr': [0.06, 0.12, 0.24, 0.48],
        'model.queue_size': [1024, 16384],
    },
    bingo={
        'optim_wrapper.optimizer.lr': [0.12, 0.24, 0.48],
        'model.queue_size': [1024, 16384],
    },
    mimicry={
        'optim_wrapper.optimizer.lr': [0.06, 0.12, 0.24, 0.48],
        'model.loss_weight': [60.0, 1000.0],
    },
    relational={
        'optim_wrapper.optimizer.lr': [0.06, 0.12, 0.24, 0.48],
        'model.temperature': [0.03, 0.2],
    },
    spatial_mse={
        'optim_wrapper.optimizer.lr': [0.12, 0.24],
        'model.spatial_weight': [0.1, 10.0],
    },
    spatial_relations={
        'optim_wrapper.optimizer.lr': [0.12, 0.24],
        'model.spatial_weight': [0.1, 10.0],
    },
)
methods = dict(
    _delete_=True,
    **{
        f'{method}_{key.rsplit(".", 1)[1]}_{value:g}': dict(
            _base_.methods[method],
            title=f'{_base_.methods[method].title}, {key.rsplit(".", 1)[1]} {value:g}',
            options={key: value},
        )
        for method, tried in candidates.items()
        for key, values in tried.items()
        for value in values
    },
)

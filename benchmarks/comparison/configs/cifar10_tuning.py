# Settings that suit the scale of the benchmark, chosen on the validation images, with a
# seed that the comparison does not use. What won stands in _base_/recipe.py and in the
# methods' files, on Fashion-MNIST too, where a run costs more.
_base_ = './cifar10.py'

name = 'cifar10_tuning'
title = 'Settings tried on CIFAR-10, validation images'
split = 'val'
seeds = [100]
evaluations = ['zero_shot', 'probe', 'knn']

rate = 'optim_wrapper.optimizer.lr'
rates = [0.06, 0.12, 0.24, 0.48]
# Method and what is tried of it: dotted key to values. The rest stays.
candidates = dict(
    lgd={rate: rates, 'model.student_temperature': [0.1]},
    seed={rate: rates},
    bingo={rate: rates},
    supervised={rate: [0.015, 0.03, *rates]},
    mimicry={rate: rates, 'model.loss_weight': [60.0, 1000.0]},
    relational={rate: rates, 'model.temperature': [0.03, 0.2]},
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

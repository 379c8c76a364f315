# Settings for the scale of the benchmark, chosen on the validation images with a seed
# that the comparison does not use. The files of the methods have the best values, also
# for Fashion-MNIST, where a run costs more.
_base_ = './cifar10.py'

title = 'Settings tried on CIFAR-10, validation images'
split = 'val'
seeds = [100]
_lr = 'optim_wrapper.optimizer.lr'
_lrs = [0.06, 0.12, 0.24, 0.48]
# Method and title: values to try by dotted key, with all other settings unchanged.
_candidates = {
    ('lgd', 'LGD'): {_lr: _lrs, 'model.student_temperature': [0.1]},
    ('seed', 'SEED'): {_lr: _lrs},
    ('bingo', 'BINGO'): {_lr: _lrs},
    ('supervised', 'supervised, all labels'): {_lr: [0.015, 0.03, *_lrs]},
    ('mimicry', 'feature mimicry'): {_lr: _lrs, 'model.loss_weight': [60.0, 1000.0]},
    ('relational', 'relational'): {_lr: _lrs, 'model.temperature': [0.03, 0.2]},
}
methods = dict(
    _delete_=True,
    **{
        f'{base}_{key.rsplit(".", 1)[1]}_{value:g}': dict(
            base=base,
            title=f'{title}, {key.rsplit(".", 1)[1]} {value:g}',
            options={key: value},
        )
        for (base, title), tried in _candidates.items()
        for key, values in tried.items()
        for value in values
    },
)

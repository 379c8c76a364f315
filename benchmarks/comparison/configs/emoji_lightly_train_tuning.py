# Candidate settings of LightlyTrain's distillation v3, on the validation images, with a
# seed that no comparison uses: learning rate, and augmentation like that of the others.
_base_ = './emoji_lightly_train.py'

title = "LightlyTrain's settings on emoji"
work_dir = 'work_dirs/benchmarks/emoji_lightly_train_tuning'
split = 'val'
seeds = [100]
evaluations = ['knn']
_views = _base_.methods.lightly_train_adapted.options['program.options.transform_args']
# The default learning rate is 5e-4, for a batch size of 1,536, scaled by its square root.
_candidates = dict(
    default=('its settings', {}),
    lr_5e3=('learning rate 5e-3', dict(optim_args=dict(lr=5e-3))),
    views=('our views', dict(transform_args=_views)),
    views_lr_5e3=(
        'our views, learning rate 5e-3',
        dict(optim_args=dict(lr=5e-3), transform_args=_views),
    ),
    views_lr_15e3=(
        'our views, learning rate 1.5e-2',
        dict(optim_args=dict(lr=1.5e-2), transform_args=_views),
    ),
    views_lr_3e2=(
        'our views, learning rate 3e-2',
        dict(optim_args=dict(lr=3e-2), transform_args=_views),
    ),
    views_lr_6e2=(
        'our views, learning rate 6e-2',
        dict(optim_args=dict(lr=6e-2), transform_args=_views),
    ),
    views_lr_5e3_sharp=(
        'our views, learning rate 5e-3, temperatures 0.04',
        dict(
            optim_args=dict(lr=5e-3),
            transform_args=_views,
            method_args=dict(temperature_global=0.04, temperature_local=0.04),
        ),
    ),
)
methods = dict(
    _delete_=True,
    lgd={},
    **{
        f'lightly_train_{name}': dict(
            base='lightly_train',
            title=f'LightlyTrain v3, {title}',
            options={f'program.options.{key}': value for key, value in change.items()},
        )
        for name, (title, change) in _candidates.items()
    },
)

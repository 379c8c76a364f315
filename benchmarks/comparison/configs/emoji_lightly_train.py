# LightlyTrain's distillation v3 on emoji, with its own settings and with those of a first
# trial on Fashion-MNIST: choose with emoji_lightly_train_tuning.py, which was not run yet. It
# needs an environment of its own, see docs/own_data.md.
_base_ = './emoji.py'

title = 'LightlyTrain on emoji'
work_dir = 'work_dirs/benchmarks/emoji'
methods = dict(
    _delete_=True,
    lgd={},
    lgd_plus={},
    lightly_train=dict(title='LightlyTrain v3, its settings'),
    lightly_train_views_lr_5e3=dict(
        base='lightly_train',
        title='LightlyTrain v3, our views, learning rate 5e-3',
        options={
            'program.options.optim_args': dict(lr=5e-3),
            'program.options.transform_args': dict(
                random_resize=dict(min_scale=0.5),
                color_jitter=None,
                random_gray_scale=None,
                gaussian_blur=None,
            ),
        },
    ),
)

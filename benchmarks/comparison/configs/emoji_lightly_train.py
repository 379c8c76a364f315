# LightlyTrain's distillation v3 on emoji, with its own settings, and with those that were best
# of eight on the validation images (emoji_lightly_train_tuning.py). It needs an environment
# of its own: `make env-lightly-train`.
_base_ = './emoji.py'

title = 'LightlyTrain on emoji'
work_dir = 'work_dirs/benchmarks/emoji'
methods = dict(
    _delete_=True,
    lgd={},
    lgd_plus={},
    lightly_train=dict(title='LightlyTrain v3, its settings'),
    lightly_train_adapted=dict(
        base='lightly_train',
        # Our views, and 60 times its learning rate.
        title='LightlyTrain v3, adapted',
        options={
            'program.options.optim_args': dict(lr=3e-2),
            'program.options.transform_args': dict(
                random_resize=dict(min_scale=0.5),
                color_jitter=None,
                random_gray_scale=None,
                gaussian_blur=None,
            ),
        },
    ),
)

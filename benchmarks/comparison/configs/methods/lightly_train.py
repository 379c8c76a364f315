# LightlyTrain's distillation v3 with its own settings and augmentation. Mixup cannot be
# switched off; versions 1 and 2 accept only LightlyTrain's own teachers.
_base_ = './mimicry.py'

title = 'LightlyTrain v3'
# Only student and teacher are used.
model = dict(_delete_=True, type='FeatureMimicry', projector=dict(type='Projector'))
skip = ['zero_shot']
program = dict(
    module='benchmarks.lightly_train.pretrain',
    python='.venv-lightly-train/bin/python',
    images='',
    options=dict(method='distillationv3', method_args=dict()),
)
prepare = dict(
    script='benchmarks/lightly_train/write_images.py',
    out='images',
    fills=['program.images'],
    # Others read these files, too.
    is_counted=False,
)

_base_ = '../_base_/fashion_mnist.py'

model = dict(
    type='FeatureMimicry',
    teacher=_base_.teacher,
    **_base_.student,
    projector=dict(type='Projector'),
    # As strong as 2,000 at the published width: 2,000 x 128 / 1,024.
    loss_weight=250.0,
    zero_shot_bank=_base_.zero_shot_bank,
)

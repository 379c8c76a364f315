_base_ = '../_base_/fashion_mnist.py'

model = dict(
    type='SpatialMimicry',
    teacher=_base_.teacher,
    **_base_.student,
    projector=dict(type='Projector'),
    form='mse',
    global_term='mimicry',
    global_weight=250.0,
    zero_shot_bank=_base_.zero_shot_bank,
)

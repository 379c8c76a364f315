_base_ = ['../_base_/methods/lgd.py', '../_base_/cifar10.py']

model = dict(
    teacher=_base_.teacher,
    **_base_.student,
    textual_bank=dict(categories=_base_.categories),
    zero_shot_bank=_base_.zero_shot_bank,
)
optim_wrapper = dict(optimizer=dict(lr=_base_.learning_rate))

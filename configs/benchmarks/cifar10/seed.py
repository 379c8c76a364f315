_base_ = ['../_base_/methods/seed.py', '../_base_/cifar10.py']

model = dict(
    teacher=_base_.teacher,
    **_base_.student,
    zero_shot_bank=dict(categories=_base_.categories),
)

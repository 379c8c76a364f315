_base_ = ['../_base_/methods/mimicry.py', '../_base_/fashion_mnist.py']

model = dict(
    teacher=_base_.teacher,
    **_base_.student,
    zero_shot_bank=_base_.zero_shot_bank,
)

_base_ = ['../../_base_/models/lgd.py', '../_base_/cifar10.py']

model = dict(
    teacher=_base_.teacher,
    **_base_.student,
    textual_bank=dict(categories=_base_.categories),
    # 0.999 averages over a thousand batches, more than this run has.
    visual_bank=dict(momentum=0.99),
    zero_shot_bank=_base_.zero_shot_bank,
)

# Of 0.12, 0.24 and 0.48, the best on the validation images of CIFAR-10.
optim_wrapper = dict(optimizer=dict(lr=0.12))

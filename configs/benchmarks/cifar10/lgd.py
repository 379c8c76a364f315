_base_ = ['../../_base_/models/lgd.py', '../_base_/cifar10.py']

model = dict(
    teacher=_base_.teacher,
    **_base_.student,
    textual_bank=dict(categories=_base_.categories),
    # 0.999 averages over a thousand batches, more than this run has.
    visual_bank=dict(momentum=0.99),
    zero_shot_bank=_base_.zero_shot_bank,
)

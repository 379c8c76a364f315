# ResNet-18 exactly as the authors' code trains it. `r50_r18.py` differs in what
# docs/methods.md lists under "What differs from the authors' training".
_base_ = [
    '../_base_/models/lgd.py',
    '../_base_/teachers/clip_rn50.py',
    '../_base_/students/r18.py',
    '../_base_/datasets/imagenet_unlabeled.py',
    '../_base_/schedules/sgd_bs2048_200e_epochwise.py',
    '../_base_/default_runtime.py',
]

model = dict(
    teacher=dict(precision='fp16', **_base_.teacher),
    # torchvision's start: the last BatchNorm of a block is 1 like all others.
    backbone=dict(zero_init_residual=False, **_base_.student.backbone),
    neck=_base_.student.neck,
    half_similarities=True,
)

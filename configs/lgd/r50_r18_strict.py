# ResNet-18 trained as in the authors' code. docs/methods.md lists how `r50_r18.py`
# differs, under "What differs from the authors' training".
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
    # torchvision's initialisation: the last BatchNorm of a block has weight 1, like all
    # others.
    backbone=dict(zero_init_residual=False, **_base_.student.backbone),
    neck=_base_.student.neck,
    half_similarities=True,
)

# MobileNetV2 trained as in the authors' code. docs/methods.md lists how `r50_mbv2.py`
# differs, under "What differs from the authors' training".
_base_ = [
    '../_base_/models/lgd.py',
    '../_base_/teachers/clip_rn50.py',
    '../_base_/students/mbv2.py',
    '../_base_/datasets/imagenet_unlabeled.py',
    '../_base_/schedules/sgd_bs2048_200e_epochwise.py',
    '../_base_/default_runtime.py',
]

model = dict(
    teacher=dict(precision='fp16', **_base_.teacher),
    # Dropout and initialisation of the last layer as in torchvision's MobileNetV2.
    projector=dict(dropout=0.2, last_std=0.01),
    half_similarities=True,
    **_base_.student,
)

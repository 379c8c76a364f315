_base_ = [
    '../_base_/models/lgd.py',
    '../_base_/teachers/dfn_vitl14.py',
    '../_base_/students/mbv3.py',
    '../_base_/datasets/imagenet_unlabeled.py',
    '../_base_/schedules/sgd_bs2048_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    teacher=_base_.teacher,
    teacher_temperature=_base_.teacher_temperature,
    **_base_.student,
)

# r50_mbv3.py with the augmentation of colours and blur on the device, for machines whose
# CPUs cannot keep up with it. Not with stored views.
_base_ = [
    '../_base_/models/lgd.py',
    '../_base_/teachers/clip_rn50.py',
    '../_base_/students/mbv3.py',
    '../_base_/datasets/imagenet_unlabeled_device-aug.py',
    '../_base_/schedules/sgd_bs2048_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(teacher=_base_.teacher, **_base_.student)

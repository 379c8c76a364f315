# Needs data/imagenet/bags_rn50.pth, written by tools/build_bags.py; see
# imagenet_bags.py.
_base_ = [
    '../_base_/models/bingo.py',
    '../_base_/teachers/clip_rn50.py',
    '../_base_/students/r18.py',
    '../_base_/datasets/imagenet_bags.py',
    '../_base_/schedules/sgd_bs2048_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(teacher=_base_.teacher, **_base_.student)
custom_hooks = [*_base_.custom_hooks, dict(type='BagsHook')]

# r50_mbv3.py on tar shards instead of a folder. Before training:
#
#     mmlgd index-shards data/imagenet_shards
_base_ = [
    '../_base_/models/lgd.py',
    '../_base_/teachers/clip_rn50.py',
    '../_base_/students/mbv3.py',
    '../_base_/datasets/imagenet_shards.py',
    '../_base_/schedules/sgd_bs2048_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(teacher=_base_.teacher, **_base_.student)

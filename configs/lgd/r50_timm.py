# Any network of timm that has stages; name it and the folder of the run:
#   tools/train.py configs/lgd/r50_timm.py --work-dir work_dirs/r50_shvit_s1 \
#       --cfg-options model.backbone.model_name=shvit_s1
_base_ = [
    '../_base_/models/lgd.py',
    '../_base_/teachers/clip_rn50.py',
    '../_base_/students/timm.py',
    '../_base_/datasets/imagenet_unlabeled.py',
    '../_base_/schedules/sgd_bs2048_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(teacher=_base_.teacher, **_base_.student)

_base_ = ['../_base_/downstream/linear_probe.py', '../_base_/students/r18.py']

init_cfg = dict(
    type='Pretrained',
    checkpoint='work_dirs/r50_r18/backbone.pth',
    prefix='backbone.',
)
model = dict(
    backbone=dict(**_base_.student.backbone, frozen_stages=4, init_cfg=init_cfg),
    neck=_base_.student.neck,
    head=dict(in_channels=512),
)

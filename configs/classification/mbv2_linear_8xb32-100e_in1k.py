_base_ = ['../_base_/downstream/linear_probe.py', '../_base_/students/mbv2.py']

init_cfg = dict(
    type='Pretrained',
    checkpoint='work_dirs/r50_mbv2/backbone.pth',
    prefix='backbone.',
)
model = dict(
    backbone=dict(**_base_.student.backbone, frozen_stages=7, init_cfg=init_cfg),
    neck=_base_.student.neck,
    head=dict(in_channels=1280),
)

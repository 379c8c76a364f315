_base_ = ['../_base_/downstream/finetune.py', '../_base_/students/r18.py']

init_cfg = dict(
    type='Pretrained',
    checkpoint='work_dirs/r50_r18/backbone.pth',
    prefix='backbone.',
)
model = dict(
    backbone=dict(**_base_.student.backbone, init_cfg=init_cfg),
    neck=_base_.student.neck,
    head=dict(in_channels=512),
)
train_dataloader = dict(dataset=dict(ann_file='meta/1percent.txt'))
param_scheduler = [dict(_base_.param_scheduler[0], T_max=60, end=60)]
train_cfg = dict(max_epochs=60)

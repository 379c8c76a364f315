_base_ = ['../_base_/downstream/linear_probe.py', '../_base_/students/repvit_m1_0.py']

init_cfg = dict(
    type='Pretrained',
    checkpoint='work_dirs/r50_repvit_m1_0/backbone.pth',
    prefix='backbone.',
)
model = dict(
    # The student's class cannot freeze; this one has the same keys.
    backbone=dict(
        **{**_base_.student.backbone, 'type': 'mmlgd.TIMMBackbone'},
        frozen=True,
        init_cfg=init_cfg,
    ),
    neck=_base_.student.neck,
    head=dict(in_channels=448),
)

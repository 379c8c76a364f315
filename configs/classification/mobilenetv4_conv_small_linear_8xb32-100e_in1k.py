_base_ = [
    '../_base_/downstream/linear_probe.py',
    '../_base_/students/mobilenetv4_conv_small.py',
]

init_cfg = dict(
    type='Pretrained',
    checkpoint='work_dirs/r50_mobilenetv4_conv_small/backbone.pth',
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
    head=dict(in_channels=960),
)

_base_ = [
    '../_base_/models/lgd.py',
    '../_base_/teachers/dfn_vitb16.py',
    '../_base_/students/mbv3.py',
    '../_base_/datasets/imagenet_unlabeled_256.py',
    '../_base_/schedules/sgd_bs2048_200e.py',
    '../_base_/default_runtime.py',
]

# DINOv3's ViT-S/16, as in _base_/teachers/dinov3_vits16.py.
further_teacher = dict(
    type='TIMMTeacher',
    model_name='vit_small_patch16_dinov3',
    pretrained='lvd1689m',
    global_pool='token',
)
# One crop in DINOv3's 256 pixels, of which CLIP and the student see copies of 224.
model = dict(
    type='MultiTeacherLGD',
    teachers=[
        _base_.teacher,
        dict(teacher=further_teacher, weight=1.0, target='features'),
    ],
    teacher_temperature=_base_.teacher_temperature,
    student_size=224,
    **_base_.student,
)
custom_hooks = [*_base_.custom_hooks, dict(type='FeatureStatisticsHook')]

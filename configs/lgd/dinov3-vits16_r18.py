_base_ = [
    '../_base_/models/lgd.py',
    '../_base_/teachers/dinov3_vits16.py',
    '../_base_/students/r18.py',
    '../_base_/datasets/imagenet_unlabeled_256.py',
    '../_base_/schedules/sgd_bs2048_200e.py',
    '../_base_/default_runtime.py',
]

# Text reaches this teacher through a projection into CLIP's space, to be made first:
# python tools/align_teacher.py configs/alignment/dinov3-vits16.py
model = dict(
    teacher=dict(
        **_base_.teacher,
        projection='work_dirs/alignment/dinov3-vits16.pth',
        text_encoder=dict(model_name='RN50', pretrained='openai'),
    ),
    student_size=224,
    **_base_.student,
)

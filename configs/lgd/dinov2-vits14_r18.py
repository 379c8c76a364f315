_base_ = [
    '../_base_/models/lgd.py',
    '../_base_/teachers/dinov2_vits14.py',
    '../_base_/students/r18.py',
    '../_base_/datasets/imagenet_unlabeled.py',
    '../_base_/schedules/sgd_bs2048_200e.py',
    '../_base_/default_runtime.py',
]

# This teacher needs a projection into CLIP's embedding space, which is fitted first:
# python tools/align_teacher.py configs/alignment/dinov2-vits14.py
model = dict(
    teacher=dict(
        **_base_.teacher,
        projection='work_dirs/alignment/dinov2-vits14.pth',
        text_encoder=dict(model_name='RN50', pretrained='openai'),
    ),
    **_base_.student,
)

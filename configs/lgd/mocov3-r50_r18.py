_base_ = [
    '../_base_/models/lgd.py',
    '../_base_/teachers/mocov3_r50.py',
    '../_base_/students/r18.py',
    '../_base_/datasets/imagenet_unlabeled.py',
    '../_base_/schedules/sgd_bs2048_200e.py',
    '../_base_/default_runtime.py',
]

# This teacher needs a projection into CLIP's embedding space, which is fitted first:
# python tools/align_teacher.py configs/alignment/mocov3-r50.py
model = dict(
    teacher=dict(
        **_base_.teacher,
        projection='work_dirs/alignment/mocov3-r50.pth',
        text_encoder=dict(model_name='RN50', pretrained='openai'),
    ),
    **_base_.student,
)

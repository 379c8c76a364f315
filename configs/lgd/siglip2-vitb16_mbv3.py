_base_ = [
    '../_base_/models/lgd.py',
    '../_base_/teachers/siglip2_vitb16.py',
    '../_base_/students/mbv3.py',
    '../_base_/datasets/imagenet_unlabeled_256.py',
    '../_base_/schedules/sgd_bs2048_200e.py',
    '../_base_/default_runtime.py',
]

# One crop in the teacher's 256 pixels, of which the student sees a copy of 224.
model = dict(
    teacher=_base_.teacher,
    teacher_temperature=_base_.teacher_temperature,
    student_size=224,
    **_base_.student,
)

_base_ = [
    '../_base_/models/lgd.py',
    '../_base_/teachers/pe_core_l14.py',
    '../_base_/students/mbv3.py',
    '../_base_/datasets/imagenet_unlabeled_336.py',
    '../_base_/schedules/sgd_bs2048_200e.py',
    '../_base_/default_runtime.py',
]

# One crop in the teacher's 336 pixels, of which the student sees a copy of 224.
model = dict(
    teacher=_base_.teacher,
    teacher_temperature=_base_.teacher_temperature,
    student_size=224,
    **_base_.student,
)

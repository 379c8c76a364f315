# SEED with the temperatures that its distillation from CLIP was published with; a
# config adds a teacher (`_base_/teachers`) and a student (`_base_/students`).
# Language has no part in training: the names are for validation.
model = dict(
    type='SEED',
    projector=dict(type='Projector'),
    queue_size=65536,
    student_temperature=0.2,
    teacher_temperature=0.01,
    zero_shot_bank=dict(
        type='TextualSemanticsBank', categories='imagenet', templates='imagenet'
    ),
)

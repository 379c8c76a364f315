# SEED with the temperatures published for distillation from CLIP; a config adds a
# teacher (`_base_/teachers`) and a student (`_base_/students`). Training does not use
# the names; they are for validation.
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

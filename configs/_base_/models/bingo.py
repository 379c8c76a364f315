# BINGO with the temperatures that its distillation from CLIP was published with; a
# config adds a teacher (`_base_/teachers`), a student (`_base_/students`), pairs
# (`_base_/datasets/imagenet_bags.py`) and BagsHook. Language has no part in training:
# the names are for validation.
model = dict(
    type='BINGO',
    projector=dict(type='Projector'),
    queue_size=65536,
    warmup_epochs=11,
    student_temperature=0.2,
    zero_shot_bank=dict(
        type='TextualSemanticsBank', categories='imagenet', templates='imagenet'
    ),
)

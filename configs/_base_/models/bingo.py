# BINGO with the temperatures published for distillation from CLIP; a config adds a
# teacher (`_base_/teachers`), a student (`_base_/students`), pairs
# (`_base_/datasets/imagenet_bags.py`) and BagsHook. Training does not use the names;
# they are for validation.
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

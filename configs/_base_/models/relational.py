# Relational distillation without other losses; a config adds a teacher
# (`_base_/teachers`) and a student (`_base_/students`). The names are for validation,
# which stays at chance because relations do not determine the position of the
# embeddings. `mimicry_weight=2000` adds feature mimicry, which does; this is the image
# part of CLIP-KD's best combination.
model = dict(
    type='RelationalKD',
    projector=dict(type='Projector'),
    temperature=0.07,
    loss_weight=1.0,
    zero_shot_bank=dict(
        type='TextualSemanticsBank', categories='imagenet', templates='imagenet'
    ),
)

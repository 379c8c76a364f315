# Relational distillation alone; a config adds a teacher (`_base_/teachers`) and a
# student (`_base_/students`). The names are for validation, which stays at chance:
# relations do not say where embeddings lie. `mimicry_weight=2000` says it, and gives
# what CLIP-KD's best combination has for images.
model = dict(
    type='RelationalKD',
    projector=dict(type='Projector'),
    temperature=0.07,
    loss_weight=1.0,
    zero_shot_bank=dict(
        type='TextualSemanticsBank', categories='imagenet', templates='imagenet'
    ),
)

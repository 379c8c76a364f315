# Feature mimicry with CLIP-KD's weight; a config adds a teacher (`_base_/teachers`)
# and a student (`_base_/students`). The names are for validation.
model = dict(
    type='FeatureMimicry',
    projector=dict(type='Projector'),
    loss_weight=2000.0,
    zero_shot_bank=dict(
        type='TextualSemanticsBank', categories='imagenet', templates='imagenet'
    ),
)

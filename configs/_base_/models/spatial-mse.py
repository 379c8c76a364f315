# Spatial mimicry as in LightlyTrain's v2, with feature mimicry in addition, so that the
# projector is trained as well (v2 itself: global_term=None, zero_shot_bank=None, no
# validation). A config adds a teacher (`_base_/teachers`) and a student
# (`_base_/students`). The names are for validation.
model = dict(
    type='SpatialMimicry',
    projector=dict(type='Projector'),
    form='mse',
    global_term='mimicry',
    spatial_weight=1.0,
    global_weight=2000.0,
    zero_shot_bank=dict(
        type='TextualSemanticsBank', categories='imagenet', templates='imagenet'
    ),
)

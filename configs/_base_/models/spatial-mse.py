# Spatial mimicry in the form of LightlyTrain's v2, with feature mimicry beside it, so
# that the projector learns, too (v2 itself: global_term=None, zero_shot_bank=None, no
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

# Spatial mimicry as in LightlyTrain's v3; a config adds a teacher (`_base_/teachers`)
# and a student (`_base_/students`). The names are for validation.
model = dict(
    type='SpatialMimicry',
    projector=dict(type='Projector'),
    form='relations',
    global_term='queue',
    spatial_weight=1.0,
    global_weight=1.0,
    temperature=0.07,
    queue_size=8192,
    zero_shot_bank=dict(
        type='TextualSemanticsBank', categories='imagenet', templates='imagenet'
    ),
)

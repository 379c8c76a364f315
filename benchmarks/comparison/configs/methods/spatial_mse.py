title = 'spatial (MSE) + mimicry'
model = dict(
    type='SpatialMimicry',
    projector=dict(type='Projector'),
    form='mse',
    global_term='mimicry',
    global_weight=250.0,
    zero_shot_bank=dict(type='TextualSemanticsBank'),
)

title = 'feature mimicry'
model = dict(
    type='FeatureMimicry',
    projector=dict(type='Projector'),
    # Equivalent to 2,000 at the published width: 2,000 x 128 / 1,024.
    loss_weight=250.0,
    zero_shot_bank=dict(type='TextualSemanticsBank'),
)

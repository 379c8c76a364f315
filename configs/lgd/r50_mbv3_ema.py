_base_ = './r50_mbv3.py'

# The exponential mean of the student is what is validated, saved as `state_dict`
# and exported; the raw weights are kept as `ema_state_dict`. Banks and BatchNorm's
# statistics are copied, not averaged: `seen` is no number.
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', momentum=0.0002, update_buffers=False),
]

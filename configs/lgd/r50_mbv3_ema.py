_base_ = './r50_mbv3.py'

# The exponential moving average of the student is validated, saved as `state_dict` and
# exported; the raw weights are kept as `ema_state_dict`. Banks and BatchNorm statistics
# are copied instead of averaged, since the buffer `seen` is boolean.
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', momentum=0.0002, update_buffers=False),
]

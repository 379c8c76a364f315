_base_ = './r50_mbv3.py'

# For GPUs that have bfloat16: no loss scale, convolutions in channels-last, and a
# compiled backbone (its first iterations take minutes).
optim_wrapper = dict(dtype='bfloat16')
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ChannelsLastHook'),
    dict(type='CompileHook'),
]

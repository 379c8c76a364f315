_base_ = './r50_mbv3.py'

# For GPUs with bfloat16 support: no loss scaling, channels-last convolutions, and a
# compiled backbone (the first iterations take minutes).
optim_wrapper = dict(dtype='bfloat16')
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ChannelsLastHook'),
    dict(type='CompileHook'),
]

# The schedule of the authors' code: the learning rate changes once per epoch, the
# cosine spans all epochs, and the warm-up replaces its beginning. It trains in float16.
_base_ = './sgd_bs2048_200e.py'

optim_wrapper = dict(dtype='float16')

param_scheduler = [
    dict(type='EpochCosineLR', max_epochs=200, warmup_epochs=5, start_factor=0.125)
]

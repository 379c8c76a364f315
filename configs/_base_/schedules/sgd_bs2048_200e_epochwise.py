# The schedule of the authors' code: the rate changes once an epoch, the cosine spans all
# epochs, and the warm-up is laid over its beginning.
_base_ = './sgd_bs2048_200e.py'

param_scheduler = [
    dict(type='EpochCosineLR', max_epochs=200, warmup_epochs=5, start_factor=0.125)
]

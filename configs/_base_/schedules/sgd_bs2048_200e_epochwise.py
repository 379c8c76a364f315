# The schedule of the authors' code: the learning rate changes once per epoch, the
# cosine spans all epochs, and the warm-up replaces its beginning.
_base_ = './sgd_bs2048_200e.py'

param_scheduler = [
    dict(type='EpochCosineLR', max_epochs=200, warmup_epochs=5, start_factor=0.125)
]

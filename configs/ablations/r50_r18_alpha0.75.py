# More weight for the visual loss.
_base_ = '../lgd/r50_r18_90e.py'

model = dict(alpha=0.75)

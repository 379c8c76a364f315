# Without the visual semantics bank.
_base_ = '../lgd/r50_r18_90e.py'

model = dict(alpha=0.0)

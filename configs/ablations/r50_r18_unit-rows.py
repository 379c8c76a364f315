# Rows of the visual bank get unit length again after each update.
_base_ = '../lgd/r50_r18_90e.py'

model = dict(visual_bank=dict(normalize=True))

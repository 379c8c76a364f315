# The rows of the visual bank are normalised to unit length after each update.
_base_ = '../lgd/r50_r18_90e.py'

model = dict(visual_bank=dict(normalize=True))

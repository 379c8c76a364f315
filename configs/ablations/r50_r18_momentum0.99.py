# A visual bank that remembers some hundred batches.
_base_ = '../lgd/r50_r18_90e.py'

model = dict(visual_bank=dict(momentum=0.99))

# A visual bank that averages over about a hundred batches.
_base_ = '../lgd/r50_r18_90e.py'

model = dict(visual_bank=dict(momentum=0.99))

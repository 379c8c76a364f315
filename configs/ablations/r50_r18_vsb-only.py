# Without the textual loss; language still decides the aggregation.
_base_ = '../lgd/r50_r18_90e.py'

model = dict(alpha=1.0)

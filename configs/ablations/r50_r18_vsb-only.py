# Without the textual loss; the text embeddings still determine the assignment to
# categories.
_base_ = '../lgd/r50_r18_90e.py'

model = dict(alpha=1.0)

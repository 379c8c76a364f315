# Without the image's own teacher embedding among the visual anchors.
_base_ = '../lgd/r50_r18_90e.py'

model = dict(self_logit=False)

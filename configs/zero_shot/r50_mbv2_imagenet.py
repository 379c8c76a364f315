_base_ = '../lgd/r50_mbv2.py'

model = dict(predict_teacher=False)

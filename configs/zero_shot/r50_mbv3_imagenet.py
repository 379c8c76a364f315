_base_ = '../lgd/r50_mbv3.py'

model = dict(predict_teacher=False)

_base_ = '../lgd/r50_r18.py'

model = dict(predict_teacher=False)

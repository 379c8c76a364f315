_base_ = './lgd.py'

title = 'LGD with a dense term'
model = dict(type='DenseLGD')

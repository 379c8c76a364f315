_base_ = './lgd.py'

title = 'LGDPlus'
model = dict(type='LGDPlus')

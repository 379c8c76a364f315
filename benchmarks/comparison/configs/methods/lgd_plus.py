_base_ = './lgd.py'

title = 'LGDPlus'
model = dict(type='LGDPlus')
# As SEED; chosen on the validation images of CIFAR-10, see docs/lgd_plus.md.
lr = 0.24

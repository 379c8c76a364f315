_base_ = './spatial_mse.py'

title = 'spatial (relations) + mimicry'
model = dict(form='relations')

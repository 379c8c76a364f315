_base_ = './mobilenetv4_conv_small_linear_8xb32-100e_in1k.py'

train_dataloader = dict(dataset=dict(ann_file='meta/10percent.txt'))

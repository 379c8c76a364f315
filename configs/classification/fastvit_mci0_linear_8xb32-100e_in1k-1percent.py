_base_ = './fastvit_mci0_linear_8xb32-100e_in1k.py'

train_dataloader = dict(dataset=dict(ann_file='meta/1percent.txt'))

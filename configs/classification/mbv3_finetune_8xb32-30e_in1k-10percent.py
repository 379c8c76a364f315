_base_ = './mbv3_finetune_8xb32-60e_in1k-1percent.py'

train_dataloader = dict(dataset=dict(ann_file='meta/10percent.txt'))
param_scheduler = [dict(_base_.param_scheduler[0], T_max=30, end=30)]
train_cfg = dict(max_epochs=30)

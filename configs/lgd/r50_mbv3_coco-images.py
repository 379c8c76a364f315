_base_ = './r50_mbv3.py'

# A flat folder of 118,287 images without labels or annotation file. An epoch has 57
# iterations instead of 625.
train_dataloader = dict(dataset=dict(dataset=dict(data_root='data/coco/train2017')))

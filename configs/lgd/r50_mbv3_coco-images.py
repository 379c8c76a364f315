_base_ = './r50_mbv3.py'

# A flat folder of pictures, neither labels nor a list file: 118,287 images, so an
# epoch has 57 iterations and not 625.
train_dataloader = dict(dataset=dict(dataset=dict(data_root='data/coco/train2017')))

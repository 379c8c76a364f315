_base_ = [
    '../_base_/downstream/models/semantic-fpn_fastvit_mci0.py',
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/schedules/schedule_80k.py',
    '../_base_/downstream/segmentation.py',
]

data_preprocessor = dict(size=(512, 1024))
model = dict(data_preprocessor=data_preprocessor)
auto_scale_lr = dict(base_batch_size=8, enable=False)

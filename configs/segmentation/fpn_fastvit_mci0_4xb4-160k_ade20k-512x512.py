_base_ = [
    '../_base_/downstream/models/semantic-fpn_fastvit_mci0.py',
    'mmseg::_base_/datasets/ade20k.py',
    'mmseg::_base_/schedules/schedule_160k.py',
    '../_base_/downstream/segmentation.py',
]

data_preprocessor = dict(size=(512, 512))
model = dict(data_preprocessor=data_preprocessor, decode_head=dict(num_classes=150))
auto_scale_lr = dict(base_batch_size=16, enable=False)

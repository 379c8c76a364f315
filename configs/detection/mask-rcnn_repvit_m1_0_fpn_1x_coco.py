_base_ = [
    '../_base_/downstream/models/mask-rcnn_repvit_m1_0_fpn.py',
    'mmdet::_base_/datasets/coco_instance.py',
    '../_base_/downstream/detection.py',
]

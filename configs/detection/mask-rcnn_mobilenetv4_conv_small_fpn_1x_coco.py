_base_ = [
    '../_base_/downstream/models/mask-rcnn_mobilenetv4_conv_small_fpn.py',
    'mmdet::_base_/datasets/coco_instance.py',
    '../_base_/downstream/detection.py',
]

_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py', '../backbones/mbv2.py']

# As in the authors' code: three maps of stride 8, 16, 32, with anchors on these only.
strides = [8, 16, 32]
model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(_delete_=True, **{**_base_.backbone, 'out_indices': (2, 4, 6)}),
    neck=dict(in_channels=_base_.channels[1:], num_outs=3),
    rpn_head=dict(anchor_generator=dict(strides=strides)),
    roi_head=dict(
        bbox_roi_extractor=dict(featmap_strides=strides),
        mask_roi_extractor=dict(featmap_strides=strides),
    ),
)

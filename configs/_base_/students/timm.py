# Any network of timm that has stages, by its name: model.backbone.model_name=shvit_s1.
# Layers behind the last map are left out, as detectors leave them out.
student = dict(
    backbone=dict(
        type='mmpretrain.TIMMBackbone',
        model_name='mobilenetv4_conv_small',
        features_only=True,
    ),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
)

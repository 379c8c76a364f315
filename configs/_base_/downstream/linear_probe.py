_base_ = './classifier.py'

# BatchNorm statistics are fixed, and the configs freeze all stages. MobileNetV2 cannot
# freeze its last convolution, so its learning rate is zero.
model = dict(backbone=dict(norm_eval=True))
optim_wrapper = dict(
    optimizer=dict(lr=30.0, momentum=0.9, weight_decay=0.0),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.0)}),
)

# MobileNets freeze their stages when training starts, after DDP has registered the
# parameters.
find_unused_parameters = True

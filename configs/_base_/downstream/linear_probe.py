_base_ = './classifier.py'

# BatchNorm keeps its statistics; a config freezes all stages. MobileNetV2 cannot
# freeze its last convolution, hence the rate of zero.
model = dict(backbone=dict(norm_eval=True))
optim_wrapper = dict(
    optimizer=dict(lr=30.0, momentum=0.9, weight_decay=0.0),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.0)}),
)

# MobileNets freeze when training begins: DDP has their parameters by then.
find_unused_parameters = True

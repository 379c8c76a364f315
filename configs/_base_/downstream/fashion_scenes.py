# Common settings of detection and segmentation on scenes of Fashion-MNIST items: the
# backbone distilled by `make demo`, the category names, and a schedule that takes
# minutes on two cores.
_base_ = './normalization.py'

backbone = dict(
    type='mmpretrain.MobileNetV3',
    arch='small',
    out_indices=(1, 3, 8, 11),
    frozen_stages=-1,
    norm_eval=False,
    # As in the distillation: with the default momentum of 0.01, the running statistics
    # would stay close to their initial values in a run of a few hundred iterations.
    norm_cfg=dict(type='BN', eps=0.001, momentum=0.1, requires_grad=True),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='work_dirs/demo/backbone.pth',
        prefix='backbone.',
    ),
)
channels = [16, 24, 48, 96]

# The last convolution (96 -> 576) comes after the last output map and gets no gradient.
find_unused_parameters = True

data_root = 'work_dirs/demo_transfer/scenes/'
item_classes = (
    'T-shirt or top',
    'Trouser',
    'Pullover',
    'Dress',
    'Coat',
    'Sandal',
    'Shirt',
    'Sneaker',
    'Bag',
    'Ankle boot',
)
item_palette = [
    (31, 119, 180),
    (255, 127, 14),
    (44, 160, 44),
    (214, 39, 40),
    (148, 103, 189),
    (140, 86, 75),
    (227, 119, 194),
    (255, 235, 0),
    (120, 255, 60),
    (23, 190, 207),
]
# The background is a separate class, so that errors at the outlines count.
scene_classes = (*item_classes, 'ground')
scene_palette = [*item_palette, (64, 64, 64)]

max_iters = 400
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=max_iters - 50,
        by_epoch=False,
        begin=50,
        end=max_iters,
    ),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

custom_hooks = [dict(type='mmlgd.BackboneLoadCheckHook')]

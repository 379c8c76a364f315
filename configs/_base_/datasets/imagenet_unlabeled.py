# Training on ImageNet-1k's images without their labels, validation on its
# validation split. Layout: data/imagenet/train/**/*.JPEG (folders are only walked)
# and data/imagenet/val, sorted into class folders or with meta/val.txt.
#
# The augmentation is MoCo v2's, without its asymmetry, on Pillow so that it is
# torchvision's: bilinear resizing there (the published code leaves torchvision's
# default) and for the validation crops alike.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='mmpretrain.RandomResizedCrop',
        scale=224,
        crop_ratio_range=(0.2, 1.0),
        interpolation='bilinear',
        backend='pillow',
    ),
    dict(
        type='RandomApply',
        transforms=[
            dict(
                type='mmpretrain.ColorJitter',
                brightness=0.4,
                contrast=0.4,
                saturation=0.4,
                hue=0.1,
            )
        ],
        prob=0.8,
    ),
    # Images are BGR here: ITU-R 601's weights in that order.
    dict(
        type='RandomGrayscale',
        prob=0.2,
        keep_channels=True,
        channel_weights=(0.114, 0.587, 0.299),
    ),
    # 'inf': the radius, which is Pillow's word for sigma, is uniform in the range.
    dict(
        type='mmpretrain.GaussianBlur',
        magnitude_range=(0.1, 2.0),
        magnitude_std='inf',
        prob=0.5,
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmpretrain.PackInputs'),
]

test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='mmpretrain.ResizeEdge',
        scale=256,
        edge='short',
        interpolation='bilinear',
        backend='pillow',
    ),
    dict(type='mmpretrain.CenterCrop', crop_size=224),
    dict(type='mmpretrain.PackInputs'),
]

train_dataloader = dict(
    batch_size=256,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='ViewSampler', shuffle=True),
    dataset=dict(
        type='SeededViews',
        dataset=dict(
            type='UnlabeledImages',
            data_root='data/imagenet/train',
            pipeline=train_pipeline,
        ),
    ),
)

val_dataloader = dict(
    batch_size=256,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmpretrain.ImageNet',
        data_root='data/imagenet',
        split='val',
        pipeline=test_pipeline,
    ),
)
val_evaluator = dict(type='ZeroShotAccuracy', topk=(1, 5))

test_dataloader = val_dataloader
test_evaluator = val_evaluator

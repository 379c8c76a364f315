# Trains on ImageNet-1k without labels and validates on its validation split. Layout:
# data/imagenet/train/**/*.JPEG (folder names are ignored) and data/imagenet/val, in
# class folders or with meta/val.txt.
#
# The augmentation is MoCo v2's, without its asymmetry: torchvision's transforms on
# Pillow images, bilinear resizing (the published code leaves torchvision's default).
# With the same seed, the Fast* transforms draw the same parameters as mmpretrain's on
# Pillow, and match their pixels up to rounding; docs/input_path.md lists the
# differences and the speed. Crops of 672 pixels and more are decoded at half size or
# less.
train_pipeline = [
    # This transform also reads the file.
    dict(type='FastRandomResizedCrop', scale=224, crop_ratio_range=(0.2, 1.0)),
    dict(
        type='RandomApply',
        transforms=[
            dict(
                type='FastColorJitter',
                brightness=0.4,
                contrast=0.4,
                saturation=0.4,
                hue=0.1,
            )
        ],
        prob=0.8,
    ),
    dict(type='FastRandomGrayscale', prob=0.2),
    # 'inf': sigma is uniform in the range.
    dict(
        type='FastGaussianBlur',
        magnitude_range=(0.1, 2.0),
        magnitude_std='inf',
        prob=0.5,
    ),
    dict(type='FastRandomFlip', prob=0.5),
    dict(type='mmpretrain.PackInputs'),
]

# Bilinear on Pillow, identical to torchvision's.
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

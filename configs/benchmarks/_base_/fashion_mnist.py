# Full Fashion-MNIST at 64 x 64. Of the 60,000 training images the last 5,000 are kept
# for validation: what is chosen is chosen on them. The 10,000 test images give the
# final figures and nothing else.
_base_ = './recipe.py'

image_size = 64
data_root = 'work_dirs/benchmarks/fashion_mnist/data'

teacher = dict(
    type='OpenCLIPTeacher',
    model_name='fashion-clip',
    model_config='demo/teacher/fashion-clip.json',
    pretrained='demo/teacher/fashion-clip.pt',
)
categories = 'fashion_mnist'
zero_shot_bank = dict(type='TextualSemanticsBank', categories=categories)

# The images are gray and centred: colour jitter and blur have nothing to teach.
train_pipeline = [
    dict(type='GrayToBGR'),
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
    dict(type='GrayToBGR'),
    dict(type='Resize', scale=(image_size, image_size), interpolation='bilinear'),
    dict(type='mmpretrain.PackInputs'),
]

dataset = dict(type='mmpretrain.FashionMNIST', data_root=data_root)
# The labels of training images are used by nothing in a distillation.
train_dataset = dict(**dataset, split='train', indices=55000, pipeline=train_pipeline)
train_dataloader = dict(
    **_base_.train_loader, dataset=dict(type='SeededViews', dataset=train_dataset)
)
val_dataloader = dict(
    **_base_.eval_loader,
    dataset=dict(**dataset, split='train', indices=-5000, pipeline=test_pipeline),
)
test_dataloader = dict(
    **_base_.eval_loader,
    # Without test_mode, mmpretrain reads the training files, whatever the split says.
    dataset=dict(**dataset, split='test', test_mode=True, pipeline=test_pipeline),
)

# Full Fashion-MNIST at 64 x 64. The last 5,000 of the 60,000 training images are held
# out for validation; all settings are chosen on them. The 10,000 test images are used
# for the final figures only.
_base_ = './_base_/student.py'

title = 'Methods on Fashion-MNIST'
_data_root = 'work_dirs/benchmarks/fashion_mnist/data'
prepare = dict(function='demo.fashion_mnist.prepare_full_data', out_dir=_data_root)
_fashion = dict(type='mmpretrain.FashionMNIST', data_root=_data_root)
train = dict(**_fashion, split='train', indices=55000)
val = dict(**_fashion, split='train', indices=-5000)
# Without test_mode, mmpretrain reads the training files for any split.
test = dict(**_fashion, split='test', test_mode=True)
names = 'fashion_mnist'
teacher = dict(
    type='OpenCLIPTeacher',
    model_name='fashion-clip',
    model_config='demo/teacher/fashion-clip.json',
    pretrained='demo/teacher/fashion-clip.pt',
)
image_size = 64
# The images are gray and centred, so colour jitter and blur are not used.
train_pipeline = [
    dict(type='GrayToBGR'),
    dict(
        type='mmpretrain.RandomResizedCrop',
        scale=64,
        crop_ratio_range=(0.5, 1.0),
        interpolation='bilinear',
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmpretrain.PackInputs'),
]
test_pipeline = [
    dict(type='GrayToBGR'),
    dict(type='Resize', scale=(64, 64), interpolation='bilinear'),
    dict(type='mmpretrain.PackInputs'),
]
methods = dict(
    teacher=dict(title='teacher (small CLIP)'),
    lgd={},
    lgd_dense=dict(base='dense_lgd'),
    lgd_plus={},
    plus_dense={},
    seed={},
    bingo={},
    mimicry={},
    relational={},
    spatial_mse={},
    spatial_relations={},
    supervised={},
    untrained={},
)
# Transfer takes minutes per run; it is run on request: `--evaluations transfer`.
evaluations = ['zero_shot', 'probe', 'knn', 'transfer']
on_request = ['transfer']
settings = dict(
    transfer=dict(
        tasks=['detection', 'segmentation'],
        scenes=dict(num_train=400, num_val=100, size=160),
        # Two fifths of the demo's schedule, since 27 backbones are compared.
        iterations=160,
        options={
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'val_dataloader.num_workers': 0,
            'val_dataloader.persistent_workers': False,
        },
    ),
)

# The demo's images at 64 x 64. With their prefixes, the type names resolve in
# distillation configs and in configs based on mmpretrain's. `make demo` and
# `make demo-probe` unpack the images (demo/fashion_mnist.py).
fashion_mnist = dict(type='mmpretrain.FashionMNIST', data_root='work_dirs/demo/data')
fashion_mnist_train = dict(
    **fashion_mnist,
    split='train',
    # The images are gray and centred, so colour jitter and blur are not used.
    pipeline=[
        dict(type='mmlgd.GrayToBGR'),
        dict(
            type='mmpretrain.RandomResizedCrop',
            scale=64,
            crop_ratio_range=(0.5, 1.0),
            interpolation='bilinear',
        ),
        dict(type='RandomFlip', prob=0.5),
        dict(type='mmpretrain.PackInputs'),
    ],
)
fashion_mnist_test = dict(
    **fashion_mnist,
    split='test',
    # Without test_mode, mmpretrain reads the training files for any split.
    test_mode=True,
    pipeline=[
        dict(type='mmlgd.GrayToBGR'),
        dict(type='Resize', scale=(64, 64), interpolation='bilinear'),
        dict(type='mmpretrain.PackInputs'),
    ],
)

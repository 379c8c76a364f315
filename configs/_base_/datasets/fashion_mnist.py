# The demo's images at 64 x 64, for the distillation and for configs based on
# mmpretrain's alike: with prefixes, the names resolve under either scope.
# `make demo` and `make demo-probe` unpack the images (demo/fashion_mnist.py).
fashion_mnist = dict(type='mmpretrain.FashionMNIST', data_root='work_dirs/demo/data')
fashion_mnist_train = dict(
    **fashion_mnist,
    split='train',
    # The images are gray and centred: colour jitter and blur have nothing to teach.
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
    # Without it mmpretrain reads the training files, whatever the split says.
    test_mode=True,
    pipeline=[
        dict(type='mmlgd.GrayToBGR'),
        dict(type='Resize', scale=(64, 64), interpolation='bilinear'),
        dict(type='mmpretrain.PackInputs'),
    ],
)

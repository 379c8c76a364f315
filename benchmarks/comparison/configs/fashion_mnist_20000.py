# Fashion-MNIST with the first 20,000 images for the training without labels, for short
# comparisons of LGD alone.
_base_ = './fashion_mnist.py'

title = 'Methods on 20,000 images of Fashion-MNIST'
images = dict(
    type='mmpretrain.FashionMNIST',
    data_root='work_dirs/benchmarks/fashion_mnist/data',
    split='train',
    indices=20000,
)

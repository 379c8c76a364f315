# Methods on a long-tailed CIFAR-10: the students see 4,500 images of the most frequent
# category and 45 of the rarest. Probes and tests are balanced, as in cifar10.py.
_base_ = './cifar10.py'

title = 'Methods on a long-tailed CIFAR-10'
work_dir = 'work_dirs/benchmarks/cifar10_long_tail'
_data_root = 'data/cifar10'
prepare = dict(function='demo.cifar10.prepare_long_tail', out_dir=_data_root, ratio=100)
images = dict(
    type='mmpretrain.CustomDataset',
    data_root=_data_root,
    ann_file='meta/train_lt100.txt',
)
iterations = 344
methods = dict(_delete_=True, lgd={}, lgd_plus={}, seed={}, bingo={}, mimicry={})

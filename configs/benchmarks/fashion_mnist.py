# What tools/benchmarks/compare_methods.py runs; configs are relative to this folder.
name = 'fashion_mnist'
title = 'Methods on Fashion-MNIST'
data = dict(
    prepare='mmlgd.datasets.fashion_mnist.prepare_full_data',
    out_dir='work_dirs/benchmarks/fashion_mnist/data',
)
seeds = [0, 1, 2]
evaluations = ['zero_shot', 'probe', 'knn']

methods = dict(
    teacher=dict(
        title='teacher (small CLIP)', config='fashion_mnist/lgd.py', role='teacher'
    ),
    lgd=dict(title='LGD', config='fashion_mnist/lgd.py'),
    untrained=dict(
        title='random weights', config='fashion_mnist/lgd.py', role='untrained'
    ),
)

settings = dict(
    # By percentage of the labels: how often they are drawn, and passes over them. The
    # rate, at features of standard deviation 1, is the best one on the validation images.
    probe=dict(
        rates=[0.001, 0.003, 0.01, 0.03, 0.1, 0.3],
        percentages={
            '1': dict(draws=3, epochs=100),
            '10': dict(draws=1, epochs=100),
            '100': dict(draws=1, epochs=20),
        },
    ),
    knn=dict(k=20),
)

# A term for places, where maps have more than one: on the validation images, with
# seeds that the comparison does not use, and on scenes of their own.
_base_ = './fashion_mnist.py'

name = 'fashion_mnist_candidates'
title = 'Candidates for a better LGD on Fashion-MNIST'
split = 'val'
seeds = [100, 101]
default_evaluations = ['zero_shot', 'probe', 'knn', 'transfer']

config = 'fashion_mnist/lgd.py'
plus = {'model.type': 'LGDPlus', 'model.mimicry_weight': 0.0}
methods = dict(
    _delete_=True,
    lgd=dict(title='LGD', config=config),
    lgd_lr=dict(
        title='LGD, learning rate 0.24',
        config=config,
        options={'optim_wrapper.optimizer.lr': 0.24},
        skip=['transfer'],
    ),
    queue=dict(
        title="+ SEED's queue, weight 1",
        config=config,
        options={**plus, 'model.queue_weight': 1.0, 'model.queue_size': 4096},
    ),
    dense=dict(
        title='+ dense term, weight 1',
        config=config,
        options={**plus, 'model.dense_weight': 1.0},
    ),
)
settings = dict(transfer=dict(tasks=['segmentation'], scenes=dict(seed=100)))

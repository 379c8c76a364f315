# At what BINGO costs: it takes three passes of the student a step, so the others get
# three times its iterations. BINGO's runs are those of fashion_mnist.py, in whose
# folder all runs lie.
_base_ = './fashion_mnist.py'

name = 'fashion_mnist_equal_cost'
title = 'Methods on Fashion-MNIST at one cost'
work_dir = 'work_dirs/benchmarks/fashion_mnist'

longer = {
    'train_cfg.max_iters': 1290,
    'train_cfg.val_interval': 1290,
    'param_scheduler.1.T_max': 1230,
    'param_scheduler.1.end': 1290,
}
methods = dict(
    _delete_=True,
    bingo=_base_.methods.bingo,
    lgd_3x=dict(title='LGD', config='fashion_mnist/lgd.py', options=longer),
    lgd_dense_3x=dict(
        title='LGD with a dense term',
        config='fashion_mnist/lgd.py',
        options={'model.type': 'DenseLGD', **longer},
    ),
    seed_3x=dict(title='SEED', config='fashion_mnist/seed.py', options=longer),
)

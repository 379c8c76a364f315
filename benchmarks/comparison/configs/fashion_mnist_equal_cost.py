# Comparison at the cost of BINGO. BINGO needs three passes of the student per step, so
# the others get three times its iterations. BINGO's runs are those of fashion_mnist.py,
# whose folder contains all runs.
_base_ = './fashion_mnist.py'

title = 'Methods on Fashion-MNIST at one cost'
work_dir = 'work_dirs/benchmarks/fashion_mnist'
reference = 'bingo'
methods = dict(
    _delete_=True,
    bingo={},
    lgd_3x=dict(base='lgd', iterations=1290),
    lgd_dense_3x=dict(base='dense_lgd', iterations=1290),
    seed_3x=dict(base='seed', iterations=1290),
)

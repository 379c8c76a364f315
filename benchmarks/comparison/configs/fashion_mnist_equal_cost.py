# At what BINGO costs: it takes three passes of the student a step, so the others get
# three times its iterations. BINGO's runs are those of fashion_mnist.py, in whose
# folder all runs lie.
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

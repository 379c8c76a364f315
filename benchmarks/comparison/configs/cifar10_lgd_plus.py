# LGDPlus at equal iterations and, with BINGO's three passes of the student, at equal
# cost: one pass over CIFAR-10 and three.
_base_ = './cifar10.py'

title = 'LGDPlus on CIFAR-10'
work_dir = 'work_dirs/benchmarks/cifar10'
reference = 'lgd_plus'
methods = dict(
    _delete_=True,
    lgd_plus={},
    lgd={},
    seed={},
    bingo={},
    lgd_plus_3x=dict(
        base='lgd_plus', title='LGDPlus, 1,290 iterations', iterations=1290
    ),
    lgd_3x=dict(base='lgd', title='LGD, 1,290 iterations', iterations=1290),
    seed_3x=dict(base='seed', title='SEED, 1,290 iterations', iterations=1290),
)

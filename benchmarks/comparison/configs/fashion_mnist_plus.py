# LGDPlus and the dense term on Fashion-MNIST, for `python -m benchmarks.in_memory`.
_base_ = './fashion_mnist.py'

title = 'LGDPlus on Fashion-MNIST'
# Detection takes 200 seconds a run, segmentation 40.
settings = dict(transfer=dict(tasks=['segmentation']))
_plus = {
    'model.anchor_bank': dict(type='ClusterBank', num_clusters=256),
    'model.balance': 0.5,
}
methods = dict(
    _delete_=True,
    lgd={},
    lgd_plus={},
    lgd_dense=dict(base='dense_lgd'),
    dense_plus=dict(base='dense_lgd', title='LGDPlus with a dense term', options=_plus),
    seed={},
    bingo={},
    mimicry={},
)

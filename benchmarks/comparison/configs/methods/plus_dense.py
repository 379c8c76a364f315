_base_ = './dense_lgd.py'

title = 'LGDPlus with a dense term'
# As in LGDPlus.
model = dict(
    anchor_bank=dict(type='ClusterBank', num_clusters=256),
    balance=0.5,
)

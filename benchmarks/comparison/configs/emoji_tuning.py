# Candidate settings on the validation images of emoji, with a seed that no comparison uses,
# about as many as emoji_lightly_train_tuning.py has. For benchmarks.in_memory:
#     python -m benchmarks.in_memory benchmarks/comparison/configs/emoji_tuning.py \
#         --split val --seeds 100 --passes 10 --reference LGD
_base_ = './emoji.py'

title = 'Settings on emoji'
split = 'val'
seeds = [100]
methods = dict(
    _delete_=True,
    lgd={},
    lgd_lr_12=dict(base='lgd', title='LGD, learning rate 0.12', lr=0.12),
    lgd_lr_48=dict(base='lgd', title='LGD, learning rate 0.48', lr=0.48),
    lgd_plus={},
    lgd_dense=dict(base='dense_lgd'),
    plus_dense={},
    seed={},
    bingo={},
    mimicry={},
)

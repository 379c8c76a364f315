# Candidate settings of LGD on the validation images of emoji, with a seed that no comparison
# uses; AdamW by --adamw. LightlyTrain's are in emoji_lightly_train_tuning.py. For
# benchmarks.in_memory:
#     python -m benchmarks.in_memory benchmarks/comparison/configs/emoji_tuning.py \
#         --split val --seeds 100 --passes 10 --reference LGD
_base_ = './emoji.py'

title = 'Settings on emoji'
split = 'val'
seeds = [100]
methods = dict(
    _delete_=True,
    lgd={},
    lgd_lr_24=dict(base='lgd', title='LGD, learning rate 0.24', lr=0.24),
    lgd_lr_48=dict(base='lgd', title='LGD, learning rate 0.48', lr=0.48),
    lgd_plus={},
    lgd_dense=dict(base='dense_lgd'),
    plus_dense={},
    seed={},
    bingo={},
    mimicry={},
)

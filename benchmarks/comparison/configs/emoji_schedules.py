# Schedules of different lengths on emoji: accuracy against cost. For benchmarks.in_memory:
#     python -m benchmarks.in_memory benchmarks/comparison/configs/emoji_schedules.py \
#         --passes 1 5 20 --reference LGD
_base_ = './emoji_lightly_train.py'

title = 'Schedules on emoji'
# After the base's: LGD and LightlyTrain.
methods = dict(
    teacher=dict(title='teacher (small CLIP)'),
    lgd_dense=dict(base='dense_lgd'),
    seed={},
    bingo={},
    mimicry={},
    supervised={},
    untrained={},
)

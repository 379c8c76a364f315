# What every detector on LVIS v1 needs besides its dataset.

# 300 detections an image count; rare categories have low scores.
lvis_test_cfg = dict(rcnn=dict(score_thr=0.0001, max_per_img=300))

# The package lvis evaluates with a name that numpy no longer has.
lvis_hooks = [dict(type='mmlgd.LVISNumpyHook')]

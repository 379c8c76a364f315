# Settings of all detectors on LVIS v1, in addition to the dataset.

# 300 detections per image are evaluated; rare categories have low scores.
lvis_test_cfg = dict(rcnn=dict(score_thr=0.0001, max_per_img=300))

# The package lvis uses a name that was removed from numpy.
lvis_hooks = [dict(type='mmlgd.LVISNumpyHook')]

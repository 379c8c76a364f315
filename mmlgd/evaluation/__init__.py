"""Metrics that mmpretrain, mmdet and mmseg lack, and classifiers of frozen features."""

from .knn import weighted_knn
from .linear_probe import choose_rate, fit_linear_probes, predict
from .zero_shot_accuracy import ZeroShotAccuracy

__all__ = [
    'ZeroShotAccuracy',
    'choose_rate',
    'fit_linear_probes',
    'predict',
    'weighted_knn',
]

"""Metrics that OpenMMLab lacks, and classifiers on frozen features."""

from .accuracy import label_ranks, summarize
from .classes import (
    LEFT_OUT,
    dataset_classes,
    match_classes,
    match_dataset,
    match_labels,
)
from .knn import weighted_knn
from .linear_probe import assign_folds, choose_lr, fit_linear_probes, predict
from .zero_shot_accuracy import ZeroShotAccuracy

__all__ = [
    'LEFT_OUT',
    'ZeroShotAccuracy',
    'assign_folds',
    'choose_lr',
    'dataset_classes',
    'fit_linear_probes',
    'label_ranks',
    'match_classes',
    'match_dataset',
    'match_labels',
    'predict',
    'summarize',
    'weighted_knn',
]

"""Matching of standardised features in float64 numpy with loops."""

import numpy as np

from tests.reference_mimicry import resize


def feature_matching(student, teacher):
    """0.9 (1 - mean cosine) + 0.1 mean smooth L1 over rows, or over places of maps."""
    if teacher.ndim == 4:
        student = resize(student, *teacher.shape[2:])
        student, teacher = (
            [each[b, :, y, x] for b, y, x in np.ndindex(len(each), *each.shape[2:])]
            for each in (student, teacher)
        )
    cosines, costs = [], []
    for s, t in zip(student, teacher):
        cosines.append(sum(s * t) / (sum(s * s) * sum(t * t)) ** 0.5)
        for gap in np.abs(s - t):
            costs.append(gap**2 / 2 if gap < 1 else gap - 0.5)
    return 0.9 * (1 - np.mean(cosines)) + 0.1 * np.mean(costs)


def statistics(rows):
    """Mean and std of rows (N, D), a dimension at a time."""
    columns = list(np.asarray(rows, dtype=np.float64).T)
    means = [sum(column) / len(column) for column in columns]
    variances = [
        sum((value - mean) ** 2 for value in column) / len(column)
        for column, mean in zip(columns, means)
    ]
    return np.array(means), np.sqrt(variances)

"""Calibration: whether confidences are the probabilities of being right."""

from collections.abc import Sequence

import torch


def reliability_bins(
    confidences: torch.Tensor, hits: torch.Tensor, num_bins: int = 10
) -> list[tuple[int, float, float]]:
    """Group predictions by confidence.

    Args:
        confidences (torch.Tensor): Probability of the predicted class (N,), in [0, 1].
        hits (torch.Tensor): Whether each prediction is right (N,), bool.
        num_bins (int): Number of intervals of equal width. Defaults to 10.

    Returns:
        list[tuple[int, float, float]]: For each interval, in ascending order, the number
        of predictions, their mean confidence and the share of them that is right; both
        are 0.0 for an empty interval.
    """
    index = (confidences * num_bins).long().clamp(0, num_bins - 1)
    counts, confident, right = (
        torch.zeros(num_bins, dtype=torch.float64).index_add_(0, index, values.double())
        for values in (torch.ones_like(confidences), confidences, hits)
    )
    divisors = counts.clamp(min=1)
    means = ((confident / divisors).tolist(), (right / divisors).tolist())
    return list(zip(counts.long().tolist(), *means))


def expected_calibration_error(bins: Sequence[Sequence[float]]) -> float:
    """Mean distance of confidence and accuracy over the bins, weighted by their counts.

    Args:
        bins (Sequence[Sequence[float]]): See :func:`reliability_bins`.

    Returns:
        float: In [0, 1]; 0.0 without predictions.
    """
    total = sum(count for count, _, _ in bins)
    gaps = sum(count * abs(confidence - right) for count, confidence, right in bins)
    return gaps / total if total else 0.0

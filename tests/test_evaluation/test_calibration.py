"""Reliability bins and the expected calibration error, computed by hand."""

import pytest
import torch

from mmlgd.evaluation.calibration import expected_calibration_error, reliability_bins


def test_bins_and_error_of_a_small_example():
    confidences = torch.tensor([0.1, 0.3, 0.6, 0.9, 1.0])
    hits = torch.tensor([False, True, False, True, True])
    bins = reliability_bins(confidences, hits, 2)
    assert [count for count, _, _ in bins] == [2, 3]
    assert bins[0][1:] == pytest.approx((0.2, 0.5))
    assert bins[1][1:] == pytest.approx((2.5 / 3, 2 / 3))
    wanted = 2 / 5 * 0.3 + 3 / 5 * (2.5 / 3 - 2 / 3)
    assert expected_calibration_error(bins) == pytest.approx(wanted)


def test_a_confidence_on_an_edge_is_in_the_upper_bin_and_1_in_the_last():
    bins = reliability_bins(torch.tensor([0.5, 1.0]), torch.tensor([True, True]), 2)
    assert [count for count, _, _ in bins] == [0, 2]
    assert bins[0] == (0, 0.0, 0.0)


def test_without_predictions_there_is_no_error():
    bins = reliability_bins(torch.zeros(0), torch.zeros(0, dtype=torch.bool))
    assert expected_calibration_error(bins) == 0.0

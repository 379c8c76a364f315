"""Mean and std of features, against float64 loops."""

import numpy as np
import pytest
import torch

from mmlgd.errors import ConfigError, DataError
from mmlgd.models.feature_statistics import FeatureStatistics
from tests.reference_features import statistics


def fitted(*batches) -> FeatureStatistics:
    found = FeatureStatistics(batches[0].shape[1])
    found.fit(sum(map(found.moments, batches)), 'The features')
    return found


@pytest.mark.parametrize('seed', [0, 1])
def test_batches_add_up_to_all_rows(seed):
    rng = np.random.default_rng(seed)
    # Means far above the spread, where sums in float32 would fail.
    rows = rng.normal(300.0, 0.1, size=(40, 6)) * np.arange(1, 7)
    tensor = torch.tensor(rows, dtype=torch.float32)
    mean, std = statistics(tensor.numpy())

    found = fitted(*tensor.split(16))

    np.testing.assert_allclose(found.mean.numpy(), mean, rtol=1e-6)
    np.testing.assert_allclose(found.std.numpy(), std, rtol=1e-5)
    assert int(found.num_rows) == 40
    wanted = (tensor.numpy().astype(float) - mean) / std
    np.testing.assert_allclose(found(tensor).numpy(), wanted, atol=2e-3)


def test_places_of_maps_count_as_rows():
    maps = torch.randn(3, 4, 5, 2) * torch.arange(1.0, 5)[:, None, None] + 2
    rows = [maps[b, :, y, x].numpy() for b, y, x in np.ndindex(3, 5, 2)]
    mean, std = statistics(rows)

    found = fitted(maps)

    np.testing.assert_allclose(found.mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(found.std.numpy(), std, rtol=1e-5)
    standardised = found(maps)[2, :, 4, 1].numpy()
    np.testing.assert_allclose(
        standardised, (rows[-1] - mean) / std, rtol=1e-4, atol=1e-5
    )


def test_a_dimension_that_does_not_vary_is_not_blown_up():
    rows = torch.randn(50, 3)
    rows[:, 1] = 0.25
    rows[7, 1] += 1e-7
    found = fitted(rows)(rows)
    assert found.isfinite().all() and found[:, 1].abs().max() < 1e-3
    assert found[:, 0].std() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    'rows, fault',
    [
        (torch.ones(5, 3), 'the same for all images'),
        (torch.full((5, 3), 0.1), 'the same for all images'),
        (torch.zeros(5, 3), 'the same for all images'),
        (torch.tensor([[1.0, float('nan')], [0.0, 1.0]]), 'NaN or infinite'),
        (torch.tensor([[1.0, float('inf')], [0.0, 1.0]]), 'NaN or infinite'),
        (torch.zeros(0, 3), 'no image'),
    ],
)
def test_features_that_cannot_be_standardised(rows, fault):
    with pytest.raises(DataError, match=fault):
        fitted(rows)


def test_state_carries_whether_it_is_fitted():
    empty, full = FeatureStatistics(3), fitted(torch.randn(9, 3))
    with pytest.raises(ConfigError, match='FeatureStatisticsHook'):
        empty(torch.randn(2, 3))

    empty.load_state_dict(full.state_dict())
    rows = torch.randn(2, 3)
    assert torch.equal(empty(rows), full(rows))
    full.load_state_dict(FeatureStatistics(3).state_dict())
    assert not full.fitted

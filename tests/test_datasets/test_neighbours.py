import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from mmlgd.datasets import nearest_neighbours
from mmlgd.errors import ConfigError, DataError


def unit_rows(size=97, width=24, seed=0):
    rows = np.random.default_rng(seed).normal(size=(size, width))
    return torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True)).float()


def brute_force(features, k):
    """Indices (N, k) by the definition, in float64; ties by index."""
    features = features.double().numpy()
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    found = []
    for i, row in enumerate(features):
        # Rounded far below what tells rows apart, far above float64's own noise.
        near = [-round(float((row * other).sum()), 10) for other in features]
        order = [int(j) for j in np.lexsort((np.arange(len(near)), near)) if j != i]
        found.append(order[:k])
    return found


@pytest.mark.parametrize('k', [1, 5, 30])
def test_neighbours_are_those_of_scikit_learn(k):
    features = unit_rows()
    model = NearestNeighbors(n_neighbors=k, algorithm='brute', metric='euclidean')
    # Without queries, scikit-learn leaves each row itself out.
    wanted = model.fit(features.double().numpy()).kneighbors(return_distance=False)
    found = nearest_neighbours(features, k)
    assert found.dtype == torch.int32 and found.device.type == 'cpu'
    np.testing.assert_array_equal(found.numpy(), wanted)


@pytest.mark.parametrize('chunk_bytes', [1, 8 * 97 * 10, 2**29])
def test_chunks_change_nothing(chunk_bytes):
    features = unit_rows()
    found = nearest_neighbours(features, 5, chunk_bytes)
    assert found.tolist() == brute_force(features, 5)


def test_all_others_can_be_requested():
    features = unit_rows(size=7)
    found = nearest_neighbours(features, 6)
    assert found.tolist() == brute_force(features, 6)
    assert [sorted([i, *row]) for i, row in enumerate(found.tolist())] == [
        list(range(7))
    ] * 7


@pytest.mark.parametrize('copies', [2, 6, 40])
@pytest.mark.parametrize('chunk_bytes', [8 * 7, 2**29])
def test_copies_of_an_image_are_ordered_by_index(copies, chunk_bytes):
    # With 40, far more rows are as near as the fifth than candidates are spare.
    features = unit_rows(size=11).repeat(copies, 1)
    found = nearest_neighbours(features, 5, chunk_bytes)
    assert found.tolist() == brute_force(features, 5)
    if copies == 40:
        assert found[11 + 3].tolist() == [3, 25, 36, 47, 58]


def test_order_holds_where_single_precision_cannot_tell():
    base = torch.zeros(30, 4)
    base[:, 0] = 1
    # Angles to row 0 whose cosines, 1 - angle^2 / 2, are all 1 in float32.
    base[1:, 1] = torch.linspace(3e-5, 1e-6, 29)
    assert nearest_neighbours(base, 5)[0].tolist() == [29, 28, 27, 26, 25]


def test_length_of_a_row_does_not_matter():
    features = unit_rows()
    scaled = features * torch.linspace(0.01, 100, len(features))[:, None]
    assert torch.equal(nearest_neighbours(scaled, 5), nearest_neighbours(features, 5))


@pytest.mark.parametrize('k', [0, 97, -1, 2.0, True])
def test_wrong_k_is_refused(k):
    with pytest.raises(ConfigError, match='from 1 to one less than the 97 images'):
        nearest_neighbours(unit_rows(), k)


@pytest.mark.parametrize('value', [0.0, float('nan'), float('inf')])
def test_broken_features_are_refused(value):
    features = unit_rows()
    features[[12, 40]] = value
    with pytest.raises(DataError, match='2 of 97 .* first that of image 12'):
        nearest_neighbours(features, 5)


def test_only_a_matrix_has_neighbours():
    with pytest.raises(DataError, match=r'\(97, 24, 1\)'):
        nearest_neighbours(unit_rows()[..., None], 5)

import numpy as np
import pytest
import torch

from mmlgd.errors import ConfigError, DataError
from mmlgd.evaluation import weighted_knn


def brute_force(queries, bank, labels, num_classes, k, temperature):
    """Scores (Q, C) by the definition, in float64 and one query at a time."""
    scores = np.zeros((len(queries), num_classes))
    for row, query in zip(scores, queries):
        cosines = [
            query @ other / np.linalg.norm(query) / np.linalg.norm(other)
            for other in bank
        ]
        for place in np.argsort(cosines)[::-1][:k]:
            row[labels[place]] += np.exp(cosines[place] / temperature)
    return scores / scores.sum(axis=1, keepdims=True)


def random_case(num_queries=23, num_bank=57, num_classes=6, seed=0):
    rng = np.random.default_rng(seed)
    queries, bank = (rng.normal(size=(n, 9)) for n in (num_queries, num_bank))
    labels = rng.integers(0, num_classes, num_bank)
    return queries, bank, labels


@pytest.mark.parametrize('k, temperature', [(1, 0.07), (20, 0.07), (57, 1.0)])
def test_scores_are_those_of_the_definition(k, temperature):
    queries, bank, labels = random_case()
    found = weighted_knn(
        *map(torch.from_numpy, (queries, bank, labels)), 6, k, temperature, chunk_size=5
    )
    wanted = brute_force(queries, bank, labels, 6, k, temperature)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_chunks_change_nothing():
    tensors = [torch.from_numpy(part) for part in random_case()]
    whole = weighted_knn(*tensors, 6, chunk_size=1000)
    assert torch.allclose(weighted_knn(*tensors, 6, chunk_size=1), whole, atol=1e-6)


def test_the_length_of_a_row_does_not_matter():
    queries, bank, labels = (torch.from_numpy(part) for part in random_case())
    lengths = torch.rand(57, 1) * 100 + 0.01
    found = weighted_knn(queries * 1e-6, bank * lengths, labels, 6)
    assert torch.allclose(found, weighted_knn(queries, bank, labels, 6), atol=1e-5)


def test_a_near_neighbour_outweighs_two_far_ones():
    bank = torch.tensor([[1.0, 0.1], [1.0, 1.0], [1.0, -1.0]])
    labels = torch.tensor([0, 1, 1])
    query = torch.tensor([[1.0, 0.0]])
    # Cosines 0.995, 0.707, 0.707: at 0.07 one vote weighs 61 of the others, at 10 it
    # weighs 1.03.
    assert weighted_knn(query, bank, labels, 2, k=3).argmax() == 0
    assert weighted_knn(query, bank, labels, 2, k=3, temperature=10.0).argmax() == 1


def test_equal_neighbours_share_the_vote_and_the_first_class_wins():
    bank = torch.ones(4, 3)
    labels = torch.tensor([2, 1, 1, 2])
    found = weighted_knn(torch.ones(1, 3), bank, labels, 4, k=4)
    assert torch.allclose(found, torch.tensor([[0.0, 0.5, 0.5, 0.0]]))
    assert found.argmax(dim=1).tolist() == [1]
    # Which of four equal ones are the two nearest is open; that two vote is not.
    found = weighted_knn(torch.ones(1, 3), bank, labels, 4, k=2)
    assert found.sum() == pytest.approx(1)
    assert set((2 * found[0]).tolist()) <= {0.0, 1.0, 2.0}


def test_a_small_temperature_does_not_overflow():
    queries, bank, labels = (torch.from_numpy(part) for part in random_case())
    found = weighted_knn(queries, bank, labels, 6, k=20, temperature=1e-4)
    nearest = weighted_knn(queries, bank, labels, 6, k=1)
    assert torch.equal(found.argmax(dim=1), nearest.argmax(dim=1))


@pytest.mark.parametrize('k', [0, 58])
def test_k_must_not_exceed_the_bank(k):
    tensors = [torch.from_numpy(part) for part in random_case()]
    with pytest.raises(ConfigError, match=f'k is {k}, but must be between 1 and .* 57'):
        weighted_knn(*tensors, 6, k)


@pytest.mark.parametrize('temperature', [0.0, -1.0, float('nan')])
def test_the_temperature_must_be_positive(temperature):
    tensors = [torch.from_numpy(part) for part in random_case()]
    with pytest.raises(ConfigError, match='temperature must be above 0'):
        weighted_knn(*tensors, 6, temperature=temperature)


def test_features_and_labels_that_do_not_fit():
    queries, bank, labels = (torch.from_numpy(part) for part in random_case())
    with pytest.raises(DataError, match=r'\(23, 8\).*\(57, 9\).*the same width'):
        weighted_knn(queries[:, :8], bank, labels, 6)
    with pytest.raises(DataError, match='57 labelled images .* shape \\(56,\\)'):
        weighted_knn(queries, bank, labels[1:], 6)
    with pytest.raises(DataError, match='labels from 0 to 5, but 5 classes'):
        weighted_knn(queries, bank, labels, 5)
    broken = bank.clone()
    broken[3, 3] = float('nan')
    with pytest.raises(DataError, match='labelled images contain values .* not finite'):
        weighted_knn(queries, broken, labels, 6)

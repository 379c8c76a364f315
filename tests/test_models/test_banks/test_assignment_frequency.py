import numpy as np
import pytest
import torch

from mmlgd.errors import ConfigError
from mmlgd.models.banks import AssignmentFrequency
from tests.reference import weights_reference
from tests.two_ranks import run_on_two_ranks


def test_weights_are_equal_before_the_first_batch():
    frequency = AssignmentFrequency(3, balance=0.5)
    assert frequency.weights(torch.tensor([0, 1, 2, 2])).tolist() == [1, 1, 1, 1]


def test_without_balance_weights_stay_equal():
    frequency = AssignmentFrequency(3, balance=0.0)
    frequency.update(torch.tensor([0, 0, 0, 1]))
    torch.testing.assert_close(frequency.weights(torch.arange(3)), torch.ones(3))


def test_full_balance_gives_each_category_the_same_sum_of_weights():
    frequency = AssignmentFrequency(3, balance=1.0, momentum=0.0)
    # With one more of each: 8, 4 and 4 of 16 images.
    assignment = torch.tensor([0] * 7 + [1] * 3 + [2] * 3)
    frequency.update(assignment)
    # 16 / (3 x 8) and 16 / (3 x 4)
    weights = frequency.weights(torch.arange(3))
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 4 / 3, 4 / 3]))


@pytest.mark.parametrize('balance', [0.25, 0.5, 1.0])
def test_counts_decay_and_weights_match_float64(balance):
    frequency, counts = AssignmentFrequency(4, balance, momentum=0.9), np.zeros(4)
    for step in range(6):
        generator = torch.Generator().manual_seed(step)
        assignment = torch.randint(4, (5,), generator=generator).clamp(max=2)
        expected = weights_reference(counts, assignment.tolist(), balance)
        weights = frequency.weights(assignment)
        np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-5)
        frequency.update(assignment)
        counts = 0.9 * counts + np.bincount(assignment, minlength=4)
        np.testing.assert_allclose(frequency.counts.numpy(), counts, rtol=1e-6)


def count_half(rank):
    frequency = AssignmentFrequency(3, balance=0.5)
    for batch in ([0, 0, 1, 2], [0, 0, 0, 1]):
        frequency.update(torch.tensor(batch)[2 * rank : 2 * rank + 2])
    return frequency.state_dict()


@pytest.mark.slow
def test_ranks_count_together(tmp_path):
    for half in run_on_two_ranks(count_half, tmp_path):
        torch.testing.assert_close(
            half['counts'], torch.tensor([0.999 * 2 + 3, 0.999 + 1, 0.999])
        )


@pytest.mark.parametrize('balance', [-0.1, 1.1, 'half'])
def test_invalid_balance_is_refused(balance):
    with pytest.raises(ConfigError, match='balance'):
        AssignmentFrequency(3, balance)

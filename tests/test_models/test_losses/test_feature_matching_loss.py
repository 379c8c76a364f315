"""The loss of matching features, against float64 loops."""

import numpy as np
import pytest
import torch

from mmlgd.models.losses import feature_matching_loss
from tests.reference_features import feature_matching
from tests.reference_mimicry import gradient

SHAPES = {
    'rows': ((7, 5), (7, 5)),
    'one row': ((1, 3), (1, 3)),
    'map': ((2, 3, 2, 3), (2, 3, 2, 3)),
    'coarser student': ((2, 3, 2, 2), (2, 3, 4, 3)),
    'finer student': ((1, 3, 5, 4), (1, 3, 3, 2)),
}


def pair(shapes, seed):
    rng = np.random.default_rng(seed)
    # Some differences above 1, some below, so that both branches count.
    return [rng.normal(scale=1.3, size=shape) for shape in shapes]


@pytest.mark.parametrize('seed', [0, 1, 2])
@pytest.mark.parametrize('shapes', SHAPES.values(), ids=SHAPES)
def test_value_and_gradient_match_float64(shapes, seed):
    student, teacher = pair(shapes, seed)
    tensor = torch.tensor(student, dtype=torch.float32, requires_grad=True)

    loss = feature_matching_loss(tensor, torch.tensor(teacher).float())
    loss.backward()

    assert loss.item() == pytest.approx(feature_matching(student, teacher), rel=1e-5)
    wanted = gradient(lambda s: feature_matching(s, teacher), student)
    np.testing.assert_allclose(tensor.grad.numpy(), wanted, rtol=1e-3, atol=1e-6)


def test_it_is_zero_at_the_target_and_two_terms_elsewhere():
    target = torch.tensor([[3.0, 4.0]])
    assert feature_matching_loss(target, target).item() == pytest.approx(0, abs=1e-6)
    # Opposite: 1 - cosine is 2; gaps of 6 and 8 cost 5.5 and 7.5.
    assert feature_matching_loss(-target, target).item() == pytest.approx(
        0.9 * 2 + 0.1 * 6.5
    )


def test_autocast_does_not_change_it():
    student, teacher = (torch.tensor(x).float() for x in pair(SHAPES['map'], 0))
    wanted = feature_matching_loss(student, teacher)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = feature_matching_loss(student, teacher)
    assert found.dtype == torch.float32 and torch.equal(found, wanted)

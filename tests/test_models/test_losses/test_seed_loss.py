import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmlgd.models.losses import seed_loss
from tests.reference_seed import seed_reference


def unit_rows(n, d, seed):
    return F.normalize(
        torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1
    )


@pytest.mark.parametrize('temperatures', [(0.2, 0.01), (0.2, 1e-4), (1.0, 0.5)])
@pytest.mark.parametrize('size', [1, 7, 500])
def test_loss_and_gradient_match_float64(size, temperatures):
    s, t = unit_rows(6, 32, 1).requires_grad_(), unit_rows(6, 32, 2)
    # Some rows near the teacher's, so that not only the own similarity counts.
    near = F.normalize(t + 0.02 * unit_rows(6, 32, 3), dim=1)
    queue = torch.cat([near, unit_rows(size, 32, 4)])[:size]
    loss = seed_loss(s, t, queue, *temperatures)
    wanted, grad = seed_reference(s.detach(), t, queue, *temperatures)
    assert loss.dtype == torch.float32 and loss.shape == ()
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    (found,) = torch.autograd.grad(loss, s)
    # Float32 similarities differ by 1e-7, which 1e-4 divides.
    tolerance = 1e-5 if temperatures[1] > 1e-3 else 5e-3
    np.testing.assert_allclose(found.numpy(), grad, atol=tolerance)


def test_two_anchors_by_hand():
    # Similarities: student (0, 1), teacher (1, 0), to (own, queue).
    s, t = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    queue = torch.tensor([[0.0, 1.0]])
    # p = softmax(2, 0), log q = (-log(1 + e), 1 - log(1 + e)).
    p_own, log_total = np.exp(2) / (np.exp(2) + 1), np.log(1 + np.e)
    wanted = p_own * log_total + (1 - p_own) * (log_total - 1)
    assert seed_loss(s, t, queue, 1.0, 0.5).item() == pytest.approx(wanted, rel=1e-6)


def test_half_precision_context_does_not_reach_in():
    s, t, queue = unit_rows(6, 32, 1), unit_rows(6, 32, 2), unit_rows(10, 32, 3)
    plain = seed_loss(s, t, queue)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = seed_loss(s, t, queue)
    assert mixed.dtype == torch.float32 and torch.equal(plain, mixed)
    assert seed_loss(s.bfloat16(), t, queue).dtype == torch.float32

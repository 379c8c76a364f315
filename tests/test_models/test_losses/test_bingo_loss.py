import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmlgd.models.losses import bingo_loss, info_nce
from tests.reference_bingo import bingo_reference, info_nce_reference


def rows(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator), dim=-1)


def step(batch=6, size=11, width=8):
    """Students (3, B, D), targets of anchor and positive, queue."""
    return (
        rows(3, batch, width, seed=0),
        rows(2, batch, width, seed=1),
        rows(size, width, seed=2),
    )


@pytest.mark.parametrize('temperature', [0.2, 0.05, 3.0])
def test_info_nce_matches_float64(temperature):
    (student, *_), targets, queue = step()
    found = info_nce(student, targets, queue, temperature)
    assert found.shape == (2, 6) and found.dtype == torch.float32
    for row, target in zip(found, targets):
        wanted = info_nce_reference(student, target, queue, temperature)
        np.testing.assert_allclose(row, wanted, rtol=1e-5)
        assert torch.equal(info_nce(student, target, queue, temperature), row)


def test_info_nce_by_hand():
    x = torch.tensor([[1.0, 0.0]])
    negatives = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    # Logits 0.5 * (1, 0, -1) at a temperature of 2.
    wanted = -0.5 + np.log(np.exp(0.5) + 1 + np.exp(-0.5))
    assert info_nce(x, x, negatives, 2.0).item() == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize('intra_only', [False, True], ids=['all', 'intra'])
@pytest.mark.parametrize('mixing', [0.0, 0.3, 1.0])
def test_losses_and_gradients_match_float64(mixing, intra_only):
    students, targets, queue = step()
    leaves = [student.requires_grad_() for student in students.clone()]
    found = bingo_loss(*leaves, *targets, queue, mixing, 0.2, intra_only)
    wanted, slopes = bingo_reference(
        *students, *targets, queue, mixing, 0.2, intra_only
    )
    assert found._fields == ('anchor', 'positive', 'mix')
    for value, reference in zip(found, wanted):
        assert value.item() == pytest.approx(reference, rel=1e-5)
    (sum(found) / 3).backward()
    for leaf, slope in zip(leaves, slopes):
        np.testing.assert_allclose(leaf.grad, slope, rtol=1e-5, atol=1e-7)


def test_half_precision_outside_does_not_reach_in():
    students, targets, queue = step()
    wanted = bingo_loss(*students, *targets, queue, 0.3)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = bingo_loss(*students, *targets, queue, 0.3)
    assert found == wanted


def test_loss_stays_finite_at_a_small_temperature():
    student = rows(4, 8, seed=0).requires_grad_()
    loss = info_nce(student, -student.detach(), student.detach(), 1e-4).mean()
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()
    # Own row in the queue at 1, target at -1: 2 / temperature.
    assert loss.item() == pytest.approx(2e4, rel=1e-4)

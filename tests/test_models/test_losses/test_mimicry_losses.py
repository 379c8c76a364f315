"""Losses of mimicry and their gradients, against loops in float64."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmlgd.models.losses import (
    kl_divergence,
    mimicry_loss,
    relational_loss,
    soft_cross_entropy,
    spatial_mse_loss,
    spatial_relations_loss,
)
from tests import reference_mimicry as reference


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator)


def unit(*shape, seed=0):
    return F.normalize(random(*shape, seed=seed), dim=1)


def check(loss, wanted, student, *constants):
    """The loss and its gradient with respect to ``student``."""
    student = student.clone().requires_grad_()
    value = loss(student, *constants)
    value.backward()

    array = student.detach().double().numpy()
    constants = [
        c.double().numpy() if isinstance(c, torch.Tensor) else c for c in constants
    ]
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(wanted(array, *constants), rel=1e-5, abs=1e-6)
    grad = reference.gradient(lambda x: wanted(x, *constants), array)
    assert np.abs(grad).max() > 1e-4
    np.testing.assert_allclose(student.grad.numpy(), grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('tau', [0.07, 0.5])
def test_kl_divergence(tau):
    def wanted(student, teacher, tau):
        pairs = zip(student, teacher)
        return np.mean([reference.kl_row(s, t, tau) for s, t in pairs])

    check(kl_divergence, wanted, random(4, 7) / 4, random(4, 7, seed=1) / 4, tau)


def test_divergence_is_cross_entropy_without_the_teachers_entropy():
    student, teacher = random(4, 7), random(4, 7, seed=1)
    entropy = soft_cross_entropy(teacher, teacher, 0.3, 0.3)

    found = kl_divergence(student, teacher, 0.3)

    wanted = soft_cross_entropy(student, teacher, 0.3, 0.3) - entropy
    torch.testing.assert_close(found, wanted)
    assert kl_divergence(teacher, teacher, 0.3).item() == pytest.approx(0, abs=1e-6)


def test_mimicry():
    student, teacher = unit(5, 8), unit(5, 8, seed=1)

    check(mimicry_loss, reference.mimicry, student, teacher)
    # Of unit rows it is 2 / D times 1 - cos.
    cosine = (student * teacher).sum(1).mean()
    torch.testing.assert_close(mimicry_loss(student, teacher), (1 - cosine) / 4)


@pytest.mark.parametrize('tau', [0.07, 0.5])
def test_relational(tau):
    # Widths may differ: only similarities are compared.
    student, teacher = unit(6, 8), unit(6, 5, seed=1)

    check(relational_loss, reference.relational, student, teacher, tau)


def test_relations_survive_a_rotation():
    teacher = unit(6, 8)
    rotation = torch.linalg.qr(random(8, 8, seed=2))[0]

    assert relational_loss(teacher @ rotation, teacher).item() < 1e-6
    assert relational_loss(unit(6, 8, seed=3), teacher).item() > 0.1


@pytest.mark.parametrize('grid', [(3, 4), (2, 2), (5, 3)], ids=str)
def test_spatial_mse(grid):
    student, teacher = random(2, 3, *grid), random(2, 3, 3, 4, seed=1)

    check(spatial_mse_loss, reference.spatial_mse, student, teacher)


@pytest.mark.parametrize('grid', [(3, 2), (2, 2), (4, 5)], ids=str)
def test_spatial_relations(grid):
    # Channels may differ: only similarities are compared.
    student, teacher = random(2, 4, *grid), random(2, 3, 3, 2, seed=1)

    check(spatial_relations_loss, reference.spatial_relations, student, teacher, 0.3)


def test_spatial_relations_do_not_cross_images():
    """Each image alone gives its share of the mean."""
    student, teacher = random(3, 4, 2, 2), random(3, 4, 2, 2, seed=1)
    alone = [
        spatial_relations_loss(student[i : i + 1], teacher[i : i + 1]).item()
        for i in range(3)
    ]

    found = spatial_relations_loss(student, teacher).item()

    assert found == pytest.approx(np.mean(alone), rel=1e-5)


@pytest.mark.parametrize(
    'loss, shape',
    [
        (mimicry_loss, (4, 8)),
        (relational_loss, (4, 8)),
        (spatial_mse_loss, (2, 4, 3, 3)),
        (spatial_relations_loss, (2, 4, 3, 3)),
    ],
    ids=lambda x: getattr(x, '__name__', None),
)
def test_half_precision_does_not_reach_in(loss, shape):
    student, teacher = unit(*shape), unit(*shape, seed=1)
    expected = loss(student.bfloat16().float(), teacher)

    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = loss(student.bfloat16(), teacher)

    assert torch.equal(found, expected) and found.dtype == torch.float32

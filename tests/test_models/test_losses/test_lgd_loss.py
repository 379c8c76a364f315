import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmlgd.models.losses import lgd_loss, soft_cross_entropy
from tests.reference import lgd_reference


def unit_rows(n, d, seed):
    return F.normalize(
        torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1
    )


@pytest.mark.parametrize('self_logit', [True, False])
@pytest.mark.parametrize('num_categories', [2, 10, 1203])
def test_losses_and_gradients_match_float64(num_categories, self_logit):
    s, t = unit_rows(6, 32, 1).requires_grad_(), unit_rows(6, 32, 2)
    # Rows of an updated bank are not unit rows.
    text, visual = (
        unit_rows(num_categories, 32, 3),
        0.7 * unit_rows(num_categories, 32, 4),
    )
    got = lgd_loss(s, t, text, visual, self_logit=self_logit)
    textual, vis, grad_textual, grad_visual = lgd_reference(
        s.detach(), t, text, visual, self_logit=self_logit
    )
    assert got.textual.item() == pytest.approx(textual, rel=1e-5, abs=1e-5)
    assert got.visual.item() == pytest.approx(vis, rel=1e-5, abs=1e-5)
    for loss, grad in ((got.textual, grad_textual), (got.visual, grad_visual)):
        (found,) = torch.autograd.grad(loss, s, retain_graph=True)
        np.testing.assert_allclose(found.numpy(), grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('half', [False, True])
def test_weighted_losses_are_those_of_single_images(half):
    s, t = unit_rows(3, 32, 1).requires_grad_(), unit_rows(3, 32, 2)
    anchors = unit_rows(7, 32, 3)
    weights = torch.tensor([0.5, 2.0, 0.0])
    got = lgd_loss(s, t, anchors, anchors, half_similarities=half, weights=weights)
    single = [
        lgd_loss(s[i : i + 1], t[i : i + 1], anchors, anchors, half_similarities=half)
        for i in range(2)
    ]
    for name in ('textual', 'visual'):
        expected = sum(w * getattr(x, name) for w, x in zip((0.5, 2.0), single)) / 3
        torch.testing.assert_close(getattr(got, name), expected)
        (found,) = torch.autograd.grad(getattr(got, name), s, retain_graph=True)
        (wanted,) = torch.autograd.grad(expected, s, retain_graph=True)
        torch.testing.assert_close(found, wanted)
        assert not found[2].any() and found[0].any()


def test_own_similarity_dominates_the_visual_target():
    # With a temperature of 0.01 and far anchors the teacher's target is its own
    # embedding, so a student equal to it has nearly the smallest possible loss.
    t = unit_rows(4, 32, 1)
    text = visual = unit_rows(5, 32, 2)
    best = lgd_loss(t.clone(), t, text, visual).visual
    worst = lgd_loss(-t, t, text, visual).visual
    assert best < 1 < worst


def test_equal_distributions_give_the_entropy():
    logits = torch.tensor([[0.1, 0.4, -0.2]])
    p = torch.softmax(logits / 0.5, dim=1)
    entropy = -(p * p.log()).sum()
    assert torch.allclose(soft_cross_entropy(logits, logits, 0.5, 0.5), entropy)


def test_half_precision_context_does_not_reach_in():
    s, t = unit_rows(6, 32, 1), unit_rows(6, 32, 2)
    text, visual = unit_rows(10, 32, 3), unit_rows(10, 32, 4)
    plain = lgd_loss(s, t, text, visual)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = lgd_loss(s, t, text, visual)
    assert mixed.textual.dtype == torch.float32
    assert torch.equal(plain.textual, mixed.textual)
    assert torch.equal(plain.visual, mixed.visual)


def test_anchors_may_change_before_the_backward_pass():
    s, t = unit_rows(6, 32, 1).requires_grad_(), unit_rows(6, 32, 2)
    text, visual = unit_rows(10, 32, 3), unit_rows(10, 32, 4)
    wanted = lgd_reference(s.detach(), t, text, visual)
    loss = lgd_loss(s, t, text, visual)
    visual.zero_()
    (3 * loss.textual + 5 * loss.visual).backward()
    gradient = 3 * wanted[2] + 5 * wanted[3]
    np.testing.assert_allclose(s.grad.numpy(), gradient, rtol=1e-5, atol=1e-5)


def test_the_similarities_are_those_to_the_names():
    s, t = unit_rows(3, 32, 1), unit_rows(3, 32, 2)
    text, visual = unit_rows(10, 32, 3), unit_rows(10, 32, 4)
    loss = lgd_loss(s, t, text, visual)
    torch.testing.assert_close(loss.student_text_logits, s @ text.T)
    torch.testing.assert_close(loss.teacher_text_logits, t @ text.T)

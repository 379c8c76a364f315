import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmlgd.errors import ConfigError
from mmlgd.models.banks import VisualSemanticsBank
from tests.reference import lgka_reference, soft_lgka_reference


def unit_rows(n, d, seed):
    return F.normalize(
        torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1
    )


@pytest.mark.parametrize('num_categories', [2, 10, 1203])
def test_updates_match_a_loop_over_categories(num_categories):
    text = unit_rows(num_categories, 32, 0)
    bank = VisualSemanticsBank(num_categories, 32, momentum=0.9)
    visual, seen = bank.embeddings.numpy().copy(), bank.seen.numpy().copy()
    for step in range(5):
        t = unit_rows(16, 32, 10 + step)
        if step == 3:  # A batch that hits one category only, already seen or not.
            t = F.normalize(text[1] + 0.1 * t, dim=1)
        visual, seen = lgka_reference(visual, seen, t, text, 0.9)
        bank.update(t, text)
        np.testing.assert_allclose(bank.embeddings.numpy(), visual, atol=1e-6)
        np.testing.assert_array_equal(bank.seen.numpy(), seen)
    assert bank.seen[1]
    if num_categories == 1203:
        assert not bank.seen.all()


def test_first_hit_replaces_the_noise_and_the_second_blends():
    text = torch.eye(3)
    bank = VisualSemanticsBank(3, 3, momentum=0.75)
    noise = bank.embeddings.clone()
    assert torch.allclose(noise.norm(dim=1), torch.ones(3), atol=1e-6)
    bank.update(torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.0, 0.8], [0.8, 0.0, 0.6]]), text)
    # Rows 0 and 2 belong to category 0, row 1 to category 2, none to category 1.
    assert torch.allclose(bank.embeddings[0], torch.tensor([0.9, 0.0, 0.3]))
    assert torch.allclose(bank.embeddings[2], torch.tensor([0.6, 0.0, 0.8]))
    assert torch.equal(bank.embeddings[1], noise[1])
    bank.update(torch.tensor([[1.0, 0.0, 0.0]]), text)
    assert torch.allclose(bank.embeddings[0], torch.tensor([0.925, 0.0, 0.225]))
    assert bank.seen.tolist() == [True, False, True]


def test_given_assignment_is_used():
    text = torch.eye(3)
    bank = VisualSemanticsBank(3, 3)
    bank.update(torch.tensor([[1.0, 0.0, 0.0]]), text, assignment=torch.tensor([2]))
    assert bank.seen.tolist() == [False, False, True]


@pytest.mark.parametrize('momentum', [1.0, -0.1, float('nan'), '0.9'])
def test_momentum_out_of_range_is_refused(momentum):
    with pytest.raises(ConfigError, match='VisualSemanticsBank.momentum'):
        VisualSemanticsBank(2, 4, momentum=momentum)


def test_soft_assignment_matches_a_loop_over_categories():
    text = unit_rows(6, 16, 0)
    bank = VisualSemanticsBank(6, 16, momentum=0.8, soft_temperature=0.1)
    visual, seen = bank.embeddings.numpy().copy(), bank.seen.numpy().copy()
    for step in range(4):
        t = F.normalize(text[step] + 0.2 * unit_rows(5, 16, 20 + step), dim=1)
        visual, seen = soft_lgka_reference(visual, seen, t, text, 0.8, 0.1)
        bank.update(t, text)
        np.testing.assert_allclose(bank.embeddings.numpy(), visual, atol=1e-6)
        np.testing.assert_array_equal(bank.seen.numpy(), seen)
    assert bank.seen.any() and not bank.seen.all()


def test_a_cold_soft_assignment_is_the_hard_one():
    text, t = unit_rows(6, 16, 0), unit_rows(9, 16, 1)
    hard, soft = (
        VisualSemanticsBank(6, 16, soft_temperature=value) for value in (None, 1e-5)
    )
    soft.load_state_dict(hard.state_dict())
    for bank in (hard, soft):
        bank.update(t, text)
    torch.testing.assert_close(soft.embeddings, hard.embeddings)
    assert torch.equal(soft.seen, hard.seen)


def test_rows_get_unit_length_again_where_asked():
    text = torch.eye(3)
    bank = VisualSemanticsBank(3, 3, momentum=0.5, normalize=True)
    bank.update(torch.tensor([[0.8, 0.6, 0.0], [0.8, 0.0, 0.6]]), text)
    # The mean is (0.8, 0.3, 0.3), its length the root of 0.82.
    first = torch.tensor([0.8, 0.3, 0.3]) / 0.82**0.5
    torch.testing.assert_close(bank.embeddings[0], first)
    bank.update(torch.tensor([[1.0, 0.0, 0.0]]), text)
    blended = (first + torch.tensor([1.0, 0.0, 0.0])) / 2
    torch.testing.assert_close(bank.embeddings[0], blended / blended.norm())


def test_a_soft_temperature_of_zero_is_refused():
    with pytest.raises(ConfigError, match='soft_temperature'):
        VisualSemanticsBank(2, 4, soft_temperature=0)


@pytest.mark.parametrize('soft_temperature', [None, 0.1])
@pytest.mark.parametrize('broken', [float('nan'), float('inf')])
def test_a_batch_that_is_not_finite_leaves_the_bank_as_it_was(soft_temperature, broken):
    text = unit_rows(4, 8, 0)
    bank = VisualSemanticsBank(4, 8, 0.9, soft_temperature=soft_temperature)
    bank.update(unit_rows(6, 8, 1), text)
    rows, seen = bank.embeddings.clone(), bank.seen.clone()
    batch = unit_rows(6, 8, 2)
    batch[3, 5] = broken
    bank.update(batch, text)
    fresh = VisualSemanticsBank(4, 8, 0.9, soft_temperature=soft_temperature)
    fresh.update(batch, text)
    assert not fresh.seen.any()
    assert torch.equal(bank.embeddings, rows) and torch.equal(bank.seen, seen)
    bank.update(unit_rows(6, 8, 2), text)
    assert bank.embeddings.isfinite().all() and not torch.equal(bank.embeddings, rows)

"""The benchmarks of the training step, in runs of a second."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.reference import lgd_reference, lgka_reference


def unit_rows(n, d, seed):
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return F.normalize(rows, dim=1)


def test_sides_take_turns_and_the_order_turns_around(load):
    called = []
    sides = {name: lambda name=name: called.append(name) for name in 'ab'}
    times = load('benchmarks.timing').alternate(sides, rounds=2, warm_up=1)
    assert ''.join(called) == 'ab' + 'ba' + 'ab'
    for clock in ('cpu', 'wall'):
        assert {name: len(values) for name, values in times[clock].items()} == dict(
            a=2, b=2
        )


def test_ratios_are_of_the_same_round(load):
    times = dict(a=[2.0, 40.0, 3.0], b=[1.0, 10.0, 1.0])
    found = load('benchmarks.timing').ratio(times, 'a', 'b')
    assert found == dict(median=3, low=2, high=4)


def test_the_looped_bank_is_the_reference(load):
    text, visual = unit_rows(7, 16, 0), unit_rows(7, 16, 1)
    bank = load('benchmarks.published').LoopedBank(visual.clone(), momentum=0.9)
    wanted, seen = visual.numpy(), np.zeros(7, dtype=bool)
    for step in range(3):
        teacher = unit_rows(6, 16, 2 + step)
        wanted, seen = lgka_reference(wanted, seen, teacher, text, 0.9)
        bank.update(teacher, text)
    np.testing.assert_allclose(bank.embeddings.numpy(), wanted, atol=1e-6)
    np.testing.assert_array_equal(bank.seen.numpy(), seen)


def test_the_published_losses_are_the_reference(load):
    student, teacher = unit_rows(5, 16, 0).requires_grad_(), unit_rows(5, 16, 1)
    text, visual = unit_rows(7, 16, 2), unit_rows(7, 16, 3)
    model = load('benchmarks.published').PublishedLGD(None, None, text, visual)
    losses = model.losses(student, teacher)
    sum(losses.values()).backward()
    rows = student.detach(), teacher, text, visual
    textual, visual_loss, textual_grad, visual_grad = lgd_reference(*rows)
    assert losses['loss_textual'].item() == pytest.approx(textual / 2, rel=1e-5)
    assert losses['loss_visual'].item() == pytest.approx(visual_loss / 2, rel=1e-5)
    wanted = (textual_grad + visual_grad) / 2
    np.testing.assert_allclose(student.grad.numpy(), wanted, atol=1e-5)


BANK_OPTIONS = (
    '--categories 5 9 --batch-sizes 4 --embed-dims 8 --rounds 2 --warm-up 1'.split()
)


def test_bank_update_compares_the_banks(load, tmp_path):
    out = tmp_path / 'bank.json'
    tool = load('benchmarks.bank_update')
    tool.main([*BANK_OPTIONS, '--device', 'cpu', '--out', str(out)])
    told = json.loads(out.read_text())
    assert [row['num_categories'] for row in told['rows']] == [5, 9]
    for row in told['rows']:
        assert row['largest_difference'] < 1e-6
        assert row['loop_over_ours']['median'] > 0
    assert told['threads'] == 1 and told['commit'] and told['device'] == 'CPU'


def test_bank_update_stops_where_the_banks_differ(load, monkeypatch):
    tool = load('benchmarks.bank_update')
    monkeypatch.setattr(tool.LoopedBank, 'update', lambda *args: None)
    with pytest.raises(SystemExit, match='differ by inf at C = 5'):
        tool.main([*BANK_OPTIONS, '--device', 'cpu'])

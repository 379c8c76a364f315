import pytest
import torch

from mmlgd.utils import cutmix as module
from mmlgd.utils.cutmix import cutmix


def draws(monkeypatch, share, *centre):
    """Let lambda be ``share`` and the centre (row, column)."""

    class FixedBeta:
        def __init__(self, first, second):
            assert first == second == 2.0

        def sample(self):
            return torch.tensor(share)

    centres = iter(centre)
    monkeypatch.setattr(module, 'Beta', FixedBeta)
    monkeypatch.setattr(torch, 'randint', lambda high, size: next(centres))


def black_and_white(height=8, width=12):
    return torch.zeros(2, 3, height, width), torch.ones(2, 3, height, width)


@pytest.mark.parametrize(
    'centre, rows, columns',
    [
        ((4, 6), (2, 6), (3, 9)),
        # Cut off at the left and at the top, at the right and at the bottom.
        ((1, 2), (0, 3), (0, 5)),
        ((7, 11), (5, 8), (8, 12)),
    ],
)
def test_box_and_its_share_by_hand(monkeypatch, centre, rows, columns):
    # A quarter of 8 x 12 is 4 x 6.
    draws(monkeypatch, 0.75, *centre)
    mixed, share = cutmix(*black_and_white())
    wanted = torch.zeros(8, 12)
    wanted[slice(*rows), slice(*columns)] = 1
    assert torch.equal(mixed, wanted.expand(2, 3, 8, 12))
    area = (rows[1] - rows[0]) * (columns[1] - columns[0])
    assert share == pytest.approx(1 - area / 96)


@pytest.mark.parametrize('drawn, kept', [(1.0, 1.0), (0.0, 0.0)])
def test_extreme_shares_are_a_single_image(monkeypatch, drawn, kept):
    draws(monkeypatch, drawn, 4, 6)
    mixed, share = cutmix(*black_and_white())
    assert share == kept and (mixed == 1 - kept).all()


def test_share_is_what_is_left_of_the_first_image():
    torch.manual_seed(0)
    first, second = black_and_white(16, 20)
    shares = []
    for _ in range(300):
        mixed, share = cutmix(first, second)
        assert share == pytest.approx(1 - mixed.mean().item(), abs=1e-6)
        shares.append(share)
    assert not first.any() and second.all()
    # Beta(2, 2) has the mean 1/2; what is cut off and rounded leaves more.
    assert 0.5 < sum(shares) / 300 < 0.75
    assert min(shares) < 0.4 and max(shares) > 0.95


def test_global_generator_decides():
    first, second = torch.randn(2, 2, 3, 16, 16)
    torch.manual_seed(7)
    wanted = cutmix(first, second)
    other = cutmix(first, second)
    torch.manual_seed(7)
    found = cutmix(first, second)
    assert torch.equal(found[0], wanted[0]) and found[1] == wanted[1]
    assert not torch.equal(other[0], wanted[0])

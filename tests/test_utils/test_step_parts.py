import pytest
import torch

from mmlgd.utils import step_parts
from mmlgd.utils.step_parts import StepPart, computing, own_rows, share, split_step


@pytest.mark.parametrize(
    ('total', 'shares'),
    [(12, [3, 3, 3, 3]), (10, [3, 3, 2, 2]), (4, [1] * 4), (2, [1, 1, 0, 0])],
)
def test_images_are_dealt_in_turn(total, shares):
    assert [share(total, rank, 4) for rank in range(4)] == shares


def test_parts_hold_every_row_once():
    parts = split_step([5, 5, 4], 2)
    assert [part.rows for part in parts] == [(2, 2, 2), (2, 2, 2), (1, 1, 0)]
    assert [part.is_first for part in parts] == [True, False, False]
    assert [part.is_last for part in parts] == [False, False, True]
    assert split_step([3, 2], 3) == [StepPart((3, 2))]


def test_rows_that_do_not_count_are_cut_off(monkeypatch):
    monkeypatch.setattr(step_parts, 'get_rank', lambda: 1)
    rows = torch.arange(3)
    assert own_rows(rows).tolist() == [0, 1, 2]
    with computing(StepPart((3, 2))):
        assert own_rows(rows).tolist() == [0, 1]
    assert own_rows(rows).tolist() == [0, 1, 2]

import math

import pytest
import torch

from mmlgd.models.banks import BankStatistics


def test_entropy_and_agreement_by_hand():
    statistics = BankStatistics(4)
    assert statistics.compute() == {}
    statistics.update(torch.tensor([0, 0, 1]), torch.tensor([0, 2, 1]))
    statistics.update(torch.tensor([3]), torch.tensor([1]))
    found = statistics.compute()
    # Shares 1/2, 1/4, 0, 1/4; two of four agree.
    assert found['assignment_entropy'] == pytest.approx(1.5 * math.log(2))
    assert found['teacher_student_agreement'] == pytest.approx(0.5)
    statistics.reset()
    assert statistics.compute() == {}


def test_nothing_is_saved():
    assert not BankStatistics(4).state_dict()

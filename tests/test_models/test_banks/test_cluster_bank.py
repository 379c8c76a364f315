import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmlgd.errors import ConfigError
from mmlgd.models.banks import ClusterBank
from tests.reference import k_means_reference
from tests.two_ranks import run_on_two_ranks


def unit_rows(count, seed, width=8):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, width, generator=generator), dim=1)


@pytest.mark.parametrize('clusters, batch', [(5, 3), (5, 7), (20, 6), (1, 4)])
def test_matches_k_means_in_float64(clusters, batch):
    torch.manual_seed(0)
    bank, started = ClusterBank(clusters, 8, momentum=0.8), 0
    centres = bank.embeddings.numpy().copy()
    for step in range(8):
        rows = unit_rows(batch, seed=step)
        bank.update(rows)
        centres, started = k_means_reference(centres, started, rows, momentum=0.8)
        np.testing.assert_allclose(bank.embeddings.numpy(), centres, atol=1e-5)
        assert bank.num_started.item() == started == min(clusters, batch * (step + 1))


def test_finds_the_centres_of_separate_groups():
    means = torch.eye(8)[:4]
    torch.manual_seed(1)
    bank = ClusterBank(4, 8, momentum=0.9)
    bank.update(F.normalize(means + 0.3 * torch.randn(4, 8), dim=1))
    for _ in range(100):
        noise = 0.1 * torch.randn(16, 8)
        bank.update(F.normalize(means.repeat(4, 1) + noise, dim=1))
    assert (bank.embeddings * means).sum(dim=1).min() > 0.99


@pytest.mark.parametrize('broken', [float('nan'), float('inf')])
def test_a_batch_that_is_not_finite_changes_nothing(broken):
    bank = ClusterBank(4, 8)
    bank.update(unit_rows(2, seed=0))
    before = {key: value.clone() for key, value in bank.state_dict().items()}
    rows = unit_rows(3, seed=1)
    rows[1, 1] = broken
    bank.update(rows)
    assert all(
        torch.equal(before[key], value) for key, value in bank.state_dict().items()
    )


def update_half(rank):
    torch.manual_seed(0)
    bank = ClusterBank(5, 8)
    for step in range(4):
        # The images of a batch are assigned to the ranks in turn.
        bank.update(unit_rows(6, seed=step)[rank::2])
    return bank.state_dict()


@pytest.mark.slow
def test_two_ranks_with_half_the_batch_equal_one(tmp_path):
    torch.manual_seed(0)
    whole = ClusterBank(5, 8)
    for step in range(4):
        whole.update(unit_rows(6, seed=step))
    for half in run_on_two_ranks(update_half, tmp_path):
        assert half.keys() == whole.state_dict().keys()
        for key, value in whole.state_dict().items():
            assert torch.equal(half[key], value), key


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(num_clusters=0), 'ClusterBank.num_clusters'),
        (dict(num_clusters=2.5), 'ClusterBank.num_clusters'),
        (dict(num_clusters=4, momentum=1.0), 'ClusterBank.momentum'),
        (dict(num_clusters=4, momentum=-0.1), 'ClusterBank.momentum'),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        ClusterBank(embed_dims=8, **options)

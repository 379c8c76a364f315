import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from tests.toys import toy_lgd
from tests.two_ranks import run_on_two_ranks


def batch(step):
    return torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(step))


def train(model, inputs_of_step):
    """Three steps of SGD; what they left behind, and each step's losses."""
    inner = getattr(model, 'module', model)
    optimizer = torch.optim.SGD(inner.parameters(), lr=0.5)
    log = []
    for step in range(3):
        losses = model(inputs_of_step(step), None, mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        log.append(
            torch.stack([losses['loss_textual'], losses['loss_visual']]).detach()
        )
    return dict(losses=torch.stack(log), state=inner.state_dict())


def train_half(rank):
    model = DistributedDataParallel(toy_lgd())
    # Interleaved and unequal in category, so that neither rank sees the whole.
    return train(model, lambda step: batch(step)[rank::2])


@pytest.mark.slow
def test_two_ranks_with_half_the_batch_equal_one(tmp_path):
    whole = train(toy_lgd(), batch)
    halves = run_on_two_ranks(train_half, tmp_path)
    mean = (halves[0]['losses'] + halves[1]['losses']) / 2
    torch.testing.assert_close(mean, whole['losses'], atol=1e-6, rtol=1e-6)
    for half in halves:
        for key, value in whole['state'].items():
            torch.testing.assert_close(half['state'][key], value, atol=1e-6, rtol=0)
    for key, value in halves[0]['state'].items():
        assert torch.equal(value, halves[1]['state'][key]), key
    assert 0 < whole['state']['visual_bank.seen'].sum()

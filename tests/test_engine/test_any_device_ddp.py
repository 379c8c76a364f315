"""AnyDeviceDDP in a gloo group of one process; two stand in test_tools/test_dist.py."""

import pytest
import torch
from mmengine.registry import MODEL_WRAPPERS
from torch import distributed, nn

from mmlgd.engine import AnyDeviceDDP
from mmlgd.utils.ports import choose_port


@pytest.fixture
def gloo():
    address = f'tcp://127.0.0.1:{choose_port()}'
    distributed.init_process_group('gloo', init_method=address, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_the_runner_finds_it_at_the_root():
    assert MODEL_WRAPPERS.get('mmlgd.AnyDeviceDDP') is AnyDeviceDDP


def test_device_ids_are_dropped_on_the_cpu(gloo):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    inputs = torch.randn(4, 3)
    (expected,) = torch.autograd.grad(model(inputs).square().sum(), model.weight)
    wrapped = AnyDeviceDDP(model, device_ids=[0], broadcast_buffers=False)
    wrapped(inputs).square().sum().backward()
    assert wrapped.device_ids is None
    assert wrapped.module is model
    torch.testing.assert_close(model.weight.grad, expected)


def test_synchronised_layers_become_plain_with_their_statistics(gloo):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.SyncBatchNorm(4))
    model[1].running_mean.fill_(0.25)
    wrapped = AnyDeviceDDP(model)
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in wrapped.modules())
    assert wrapped.module[1].running_mean.tolist() == [0.25] * 4
    assert wrapped(torch.randn(2, 3, 4, 4)).shape == (2, 4, 4, 4)

"""`make demo` replaces slow convolutions, where they are slow."""

import pytest
import torch
from torch import nn

from demo import run


@pytest.mark.parametrize(
    ('cpu', 'has_gpu', 'replaced'),
    [
        ('AVX2', False, 1),
        ('AVX512', False, 0),
        ('DEFAULT', False, 0),
        ('AVX2', True, 0),
    ],
)
def test_depthwise_convolutions_are_replaced_without_avx_512(
    monkeypatch, cpu, has_gpu, replaced
):
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: cpu)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: has_gpu)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 5, padding=2, groups=4))
    images = torch.randn(2, 3, 2, 2)
    before = model(images)
    assert run.speed_up(model) == replaced
    assert type(model[0]) is nn.Conv2d
    assert (type(model[1]) is not nn.Conv2d) == bool(replaced)
    torch.testing.assert_close(model(images), before, atol=1e-6, rtol=1e-5)

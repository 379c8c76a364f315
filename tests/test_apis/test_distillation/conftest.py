"""A GPU for the choice of settings."""

import pytest
import torch

from mmlgd.apis.distillation import choices as module


@pytest.fixture
def gpu(monkeypatch):
    """As on one GPU of 80 GiB with bfloat16, and 16 cores."""
    properties = type('Properties', (), dict(total_memory=80 * 2**30))
    monkeypatch.setattr(module, 'get_device', lambda: 'cuda')
    monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda _: properties)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda: (9, 0))
    monkeypatch.setattr(module, '_cores', lambda: 16)

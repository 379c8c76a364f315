"""What every test module starts from, whichever worker ran others before it."""

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(scope='module', autouse=True)
def scope_of_others_forgotten():
    """Runs set mmengine's default scope for their process: not beyond their module."""
    before = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)

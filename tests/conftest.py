"""The initial state of every test module, independent of the tests before it."""

import os
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

# Processes started by tests import mmlgd from this clone, in any working directory.
_ROOT = str(Path(__file__).resolve().parents[1])
os.environ['PYTHONPATH'] = os.pathsep.join(
    [_ROOT, *filter(None, [os.environ.get('PYTHONPATH')])]
)


@pytest.fixture(scope='module', autouse=True)
def scope_of_others_forgotten():
    """Reset mmengine's default scope, which runs set for the whole process."""
    before = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)

"""The initial state of every test module, independent of the tests before it."""

import functools
import os
from pathlib import Path

import pytest
from mmengine.config import utils as config_utils
from mmengine.registry import DefaultScope

# Processes started by tests import mmlgd from this clone, in any working directory.
_ROOT = str(Path(__file__).resolve().parents[1])
os.environ['PYTHONPATH'] = os.pathsep.join(
    [_ROOT, *filter(None, [os.environ.get('PYTHONPATH')])]
)


@pytest.fixture(scope='session', autouse=True)
def metafiles_read_once():
    """For each base of a config in mmdet, mmengine reads all of mmdet's metafiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_utils, 'load', functools.cache(config_utils.load))
        yield


@pytest.fixture(scope='module', autouse=True)
def scope_of_others_forgotten():
    """Reset mmengine's default scope, which runs set for the whole process."""
    before = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)

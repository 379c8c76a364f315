"""What every test module starts from, whichever worker ran others before it."""

import functools
import os
from pathlib import Path

import pytest
from mmengine.config import utils as config_utils
from mmengine.registry import DefaultScope

# The processes that tests start find this checkout, wherever they run: the scripts of
# tools/ import an mmlgd that is installed, or on the path.
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
    """Runs set mmengine's default scope for their process: not beyond their module."""
    before = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)

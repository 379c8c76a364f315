"""The initial state of every test module, independent of the tests before it."""

import functools
import gc
import os
from pathlib import Path

import pytest
import torch
from mmengine.config import utils as config_utils
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from yapf.yapflib import yapf_api

# Processes started by tests import mmlgd from this clone, in any working directory.
_ROOT = str(Path(__file__).resolve().parents[1])
os.environ['PYTHONPATH'] = os.pathsep.join(
    [_ROOT, *filter(None, [os.environ.get('PYTHONPATH')])]
)


@pytest.fixture(scope='session', autouse=True)
def repeated_work_of_mmengine_done_once():
    """What takes most of the time of a short run, and gives the same each time.

    For each base of a config in mmdet, mmengine reads all of mmdet's metafiles. For
    each checkpoint it lays out the config's text again.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_utils, 'load', functools.cache(config_utils.load))
        patch.setattr(yapf_api, 'FormatCode', _once_a_text(yapf_api.FormatCode))
        yield


def _once_a_text(function):
    results = {}

    def call(text, **style):
        if text not in results:
            results[text] = function(text, **style)
        return results[text]

    return call


def pytest_runtest_setup(item):
    """Skip the tests that are marked `gpu` on a machine without one."""
    if item.get_closest_marker('gpu') and not torch.cuda.is_available():
        pytest.skip('needs a CUDA device')


def pytest_collection_finish():
    """mmengine collects garbage for each dataset: not among all imported modules."""
    gc.freeze()


@pytest.fixture(scope='module', autouse=True)
def scope_of_others_forgotten():
    """Reset mmengine's default scope, which runs set for the whole process."""
    before = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.fixture(autouse=True)
def no_visualizer_of_a_removed_folder():
    """Forget visualizers that wrote to the removed folder of a passed test.

    mmengine names them by the second: a Runner that starts in the same one gets them.
    """
    kinds = [Visualizer]
    for kind in kinds:
        kinds += kind.__subclasses__()
        for name, found in [*kind._instance_dict.items()]:
            folders = [each._save_dir for each in found._vis_backends.values()]
            if not all(map(os.path.isdir, folders)):
                del kind._instance_dict[name]

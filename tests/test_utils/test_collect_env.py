"""The report on the environment."""

import builtins

import pytest
import torch

import mmlgd
from mmlgd.dependencies import REQUIREMENTS
from mmlgd.utils import collect_env as module
from mmlgd.utils.collect_env import collect_env, git_revision, mmcv_operators


def test_report_names_every_required_library_and_mmlgd():
    info = collect_env()
    assert {requirement.module for requirement in REQUIREMENTS} <= set(info)
    assert info['PyTorch'] == torch.__version__
    assert torch.__version__.partition('+')[0] in info['torch']
    assert '>=2.1' in info['torch']
    assert info['mmlgd'].startswith(mmlgd.__version__)
    assert info['mmcv operators'].startswith('load: ')
    assert all(isinstance(value, str) for value in info.values())


@pytest.fixture
def broken_operators(monkeypatch):
    """mmcv's operators do not load."""
    real = builtins.__import__

    def broken(name, *args, **kwargs):
        if name == 'mmcv._ext':
            raise ImportError('undefined symbol: _ZN3c10')
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', broken)


def test_operators_that_do_not_load_are_reported_with_how_to_fix_it(broken_operators):
    text = mmcv_operators()
    assert 'undefined symbol' in text
    assert 'docs/install.md' in text


def test_mmcv_lite_is_named_in_place_of_its_operators(broken_operators, monkeypatch):
    monkeypatch.setattr(module, 'installed_version', {'mmcv-lite': '2.2.0'}.get)
    text = mmcv_operators()
    assert 'mmcv-lite' in text and 'make env' in text
    assert 'undefined symbol' not in text


def test_revision_is_empty_outside_a_checkout(tmp_path):
    assert git_revision(tmp_path) == ''

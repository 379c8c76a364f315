"""Random names are distinct, reproducible and readable by a bank."""

import importlib.util
from pathlib import Path

import pytest

from mmlgd.datasets import load_category_names
from mmlgd.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def tool():
    path = ROOT / 'tools/dataset_converters/write_random_names.py'
    spec = importlib.util.spec_from_file_location('write_random_names', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_names_are_the_scripts(tool, tmp_path):
    tool.main(['1000', '--out', str(tmp_path / 'names.txt')])
    found = load_category_names(tmp_path / 'names.txt')
    committed = load_category_names(ROOT / 'configs/ablations/random_names_1000.txt')
    assert found == committed
    assert len(set(found)) == 1000


def test_names_depend_on_the_seed_and_more_names_begin_alike(tool):
    assert tool.random_names(20, seed=1)[:10] == tool.random_names(10, seed=1)
    assert tool.random_names(10, seed=1) != tool.random_names(10, seed=2)


@pytest.mark.parametrize('number', [0, 100_001])
def test_an_impossible_number_is_refused(tool, number):
    with pytest.raises(ConfigError, match=f'not {number}'):
        tool.random_names(number)

"""The folder of scenes: the same bytes again, never half, never over other files."""

import hashlib
import json
import sys

import pytest

from demo.fashion_mnist import prepare_demo_data
from demo.scenes import SceneSettings, prepare_fashion_scenes
from mmlgd.errors import ConfigError, DataError, DependencyError
from tests.fashion_source import write_source

SMALL = SceneSettings(num_train=4, num_val=2, size=64)


@pytest.fixture(scope='module')
def demo_source(tmp_path_factory):
    return prepare_demo_data(tmp_path_factory.mktemp('fashion_mnist'))


@pytest.fixture(scope='module')
def scenes(tmp_path_factory, demo_source):
    out_dir = tmp_path_factory.mktemp('data') / 'scenes'
    return prepare_fashion_scenes(out_dir, SMALL, demo_source)


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob('*')
        if path.is_file()
    }


def test_same_settings_give_the_same_bytes(scenes, demo_source, tmp_path):
    again = prepare_fashion_scenes(tmp_path / 'again', SMALL, demo_source)
    assert digests(again) == digests(scenes)


def test_scene_depends_on_seed_and_number_not_on_the_count(
    scenes, demo_source, tmp_path
):
    fewer, other = (
        prepare_fashion_scenes(
            tmp_path / str(seed), SceneSettings(2, 1, 64, seed), demo_source
        )
        for seed in (0, 1)
    )
    for name in ('train/images/000001.png', 'annotations/val/000000.png'):
        assert digests(fewer)[name] == digests(scenes)[name] != digests(other)[name]


def test_scenes_are_created_once_then_kept_then_replaced(tmp_path):
    source = write_source(tmp_path / 'source')
    out_dir = tmp_path / 'scenes'
    prepare_fashion_scenes(out_dir, SceneSettings(3, 1, 32), source)
    picture = out_dir / 'train' / 'images' / '000002.png'
    picture.write_bytes(b'mine')
    prepare_fashion_scenes(out_dir, SceneSettings(3, 1, 32), source)
    assert picture.read_bytes() == b'mine'
    prepare_fashion_scenes(out_dir, SceneSettings(2, 1, 32), source)
    assert not picture.exists()
    assert json.loads((out_dir / 'scenes.json').read_text())['num_train'] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ['scenes', 'source']


def test_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / 'thesis.tex').touch()
    with pytest.raises(DataError, match=r'no scenes\.json.*empty folder'):
        prepare_fashion_scenes(tmp_path, SMALL)
    assert (tmp_path / 'thesis.tex').exists()


def test_failed_run_leaves_nothing(tmp_path, monkeypatch):
    source = write_source(tmp_path / 'source')
    monkeypatch.setitem(sys.modules, 'pycocotools', None)
    with pytest.raises(DependencyError, match='pip install pycocotools'):
        prepare_fashion_scenes(tmp_path / 'scenes', SMALL, source)
    assert [path.name for path in tmp_path.iterdir()] == ['source']


@pytest.mark.parametrize(
    'wrong', [dict(size=16), dict(num_val=0), dict(seed=-1), dict(num_train=2.5)]
)
def test_wrong_settings_are_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SceneSettings(**wrong)


def test_source_too_small_for_a_scene(tmp_path):
    source = write_source(tmp_path / 'source', num_items=5)
    with pytest.raises(DataError, match='holds 5 items'):
        prepare_fashion_scenes(tmp_path / 'scenes', SMALL, source)

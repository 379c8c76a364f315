"""The Runner of the tools: datasets, the written config, warnings of libraries."""

import time
import urllib.request
import warnings
from urllib.error import URLError

import pytest
from mmengine.config import Config

import mmlgd  # noqa: F401
from mmlgd.engine.tool_runner import ToolRunner
from mmlgd.errors import DataError
from mmlgd.report.run_log import log_folders
from tests.runs import toy_run_cfg, write_images
from tests.toys import ToyBackbone


def test_a_dataset_that_cannot_be_fetched_is_named(tmp_path, monkeypatch):
    def urlopen(*args, **kwargs):
        raise URLError('name not known')

    monkeypatch.setattr(urllib.request, 'urlopen', urlopen)
    dataset = dict(type='mmpretrain.FashionMNIST', data_root=str(tmp_path))
    dataset.update(split='test', test_mode=True, pipeline=[])
    loader = dict(batch_size=2, dataset=dict(type='SeededViews', dataset=dataset))
    loader['dataset']['_scope_'] = 'mmlgd'
    with pytest.raises(DataError, match='FashionMNIST in .*name not known.*make demo'):
        ToolRunner.build_dataloader(loader)


def runner_of(tmp_path, place):
    cfg = toy_run_cfg(write_images(tmp_path), tmp_path / 'run')
    (tmp_path / place).parent.mkdir(exist_ok=True)
    cfg.dump(tmp_path / place)
    text = f'# why\n{(tmp_path / place).read_text()}'
    (tmp_path / place).write_text(text)
    return text, Config.fromfile(tmp_path / place)


def test_a_config_in_the_work_dir_is_not_replaced(tmp_path):
    text, cfg = runner_of(tmp_path, 'run/config.py')
    ToolRunner.from_cfg(cfg).dump_config()
    assert (tmp_path / 'run/config.py').read_text() == text


def test_a_config_from_elsewhere_is_copied(tmp_path):
    _, cfg = runner_of(tmp_path, 'config.py')
    ToolRunner.from_cfg(cfg).dump_config()
    copied = Config.fromfile(tmp_path / 'run/config.py')
    assert copied.model.to_dict() == cfg.model.to_dict()


def test_warnings_of_libraries_are_in_the_log_file_only(tmp_path, monkeypatch, capfd):
    built = ToyBackbone.__init__

    def warn(self, *args, **kwargs):
        warnings.warn('of a library', stacklevel=1)
        built(self, *args, **kwargs)

    monkeypatch.setattr(ToyBackbone, '__init__', warn)
    _, cfg = runner_of(tmp_path, 'config.py')
    cfg.log_level = 'INFO'
    ToolRunner.from_cfg(cfg)
    shown = capfd.readouterr()
    assert 'of a library' not in shown.out + shown.err
    (log,) = (tmp_path / 'run').glob('*/*.log')
    assert 'UserWarning: of a library' in log.read_text()


def test_a_second_run_within_a_second_has_its_own_folder_and_counters(
    tmp_path, monkeypatch
):
    _, cfg = runner_of(tmp_path, 'config.py')
    monkeypatch.setattr(time, 'strftime', lambda *args: '20260101_000000')
    first, second = ToolRunner.from_cfg(cfg), ToolRunner.from_cfg(cfg)
    assert first.log_dir != second.log_dir
    first.message_hub.update_info('iter', 7)
    assert second.message_hub.get_info('iter') != 7
    assert second.visualizer is not first.visualizer
    logs = [name.name for name in log_folders(tmp_path / 'run')]
    assert logs == []  # nothing is logged yet
    for runner in (first, second):
        runner.visualizer.add_scalar('loss', 1.0, step=1)
    found = [str(folder) for folder in log_folders(tmp_path / 'run')]
    assert found == [first.log_dir, second.log_dir]

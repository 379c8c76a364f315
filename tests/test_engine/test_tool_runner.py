"""Datasets that cannot be downloaded."""

import urllib.request
from urllib.error import URLError

import pytest

import mmlgd  # noqa: F401
from mmlgd.engine.tool_runner import ToolRunner
from mmlgd.errors import DataError


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

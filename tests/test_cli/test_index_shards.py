import json
import tarfile

import pytest

from mmlgd.cli import index_shards
from mmlgd.datasets import UnlabeledShards
from mmlgd.errors import ConfigError, DataError
from tests.shards import write_shards


def test_the_dataset_reads_the_index(tmp_path, capsys):
    write_shards(tmp_path / 'a', [3, 2])
    options = (
        f'--index {tmp_path}/i --extensions .PNG --shards {{00..01}}.tar --workers 1'
    )
    index_shards.main([f'{tmp_path}/a', *options.split()])
    summary = json.loads(capsys.readouterr().out)
    assert (summary['shards'], summary['images']) == (2, 5)
    assert summary['index'] == f'{tmp_path}/i'
    dataset = UnlabeledShards(
        f'{tmp_path}/a', index=f'{tmp_path}/i', extensions=['.png']
    )
    assert len(dataset) == 5


def test_an_index_is_written_again_after_a_change(tmp_path, capsys):
    _, second = write_shards(tmp_path, [3, 2])
    index_shards.main([str(tmp_path)])
    second.unlink()
    with pytest.raises(DataError, match=r'01\.tar'):
        UnlabeledShards(str(tmp_path))
    index_shards.main([str(tmp_path)])
    assert len(UnlabeledShards(str(tmp_path))) == 3


def test_wrong_inputs_end_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tarfile.TarInfo, 'frombuf', None)
    write_shards(tmp_path, [1])
    (tmp_path / 'file').touch()
    for options, wanted in (
        ('--workers 0', '--workers'),
        (f'--index {tmp_path}/file/index', '--index'),
        ('--endpoint-url http://127.0.0.1:1', 'for URLs'),
    ):
        with pytest.raises(ConfigError, match=wanted):
            index_shards.main([str(tmp_path), *options.split()])

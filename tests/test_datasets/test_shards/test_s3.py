"""Shards on an S3-compatible server, on the loopback interface.

Needs s3fs (requirements/remote.txt) and moto's server: install
requirements/s3_server.txt into an environment of its own, and set MMLGD_TEST_MOTO to the
path of its `moto_server`.
"""

import os
import shutil
import socket
import subprocess
import time

import pytest

from mmlgd.cli import index_shards
from mmlgd.datasets import UnlabeledShards
from mmlgd.datasets.shards import remote
from mmlgd.errors import DataError
from tests.shards import write_shards

s3fs = pytest.importorskip('s3fs')
MOTO = os.environ.get('MMLGD_TEST_MOTO') or shutil.which('moto_server')
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MOTO, reason='MMLGD_TEST_MOTO is not set'),
]


@pytest.fixture
def server(monkeypatch, tmp_path):
    """The process and endpoint of a server."""
    for key in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
        monkeypatch.setenv(key, 'test')
    monkeypatch.setenv('AWS_DEFAULT_REGION', 'us-east-1')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    # Not with the packages of this environment.
    env = {key: os.environ[key] for key in os.environ if key != 'PYTHONPATH'}
    process = subprocess.Popen(
        [MOTO, '-H', '127.0.0.1', '-p', str(port)],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    endpoint = f'http://127.0.0.1:{port}'
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if not probe.connect_ex(('127.0.0.1', port)):
                    break
            time.sleep(0.1)
        yield process, endpoint
    finally:
        process.kill()
        process.wait()


def test_shards_on_s3(server, tmp_path, capsys, monkeypatch):
    process, endpoint = server
    paths = write_shards(tmp_path / 'made', [3, 5])
    files = s3fs.S3FileSystem(endpoint_url=endpoint, skip_instance_cache=True)
    files.mkdir('bucket')
    for path in paths:
        files.put_file(str(path), f'bucket/set/{path.name}')
    root, index = 's3://bucket/set', str(tmp_path / 'index')
    index_shards.main([root, '--index', index, '--endpoint-url', endpoint])
    assert '"images": 8' in capsys.readouterr().out

    def build(**options):
        return UnlabeledShards(
            root,
            index=index,
            storage_options=dict(endpoint_url=endpoint),
            pipeline=[dict(type='mmlgd.LoadImageFromFile')],
            timeout=10,
            **options,
        )

    dataset = build()
    batch = dataset.__getitems__([7, 0, 4])
    assert [int(one['img'][0, 0, 0]) for one in batch] == [7, 0, 4]
    # Another object of the same size.
    content = bytearray(paths[0].read_bytes())
    content[600] ^= 1
    files.pipe_file('bucket/set/00.tar', bytes(content))
    with pytest.raises(DataError, match=r's3://bucket/set/00\.tar changed'):
        build()
    files.rm_file('bucket/set/00.tar')
    with pytest.raises(DataError, match=r'1 shards, .*00\.tar|00\.tar'):
        build()

    monkeypatch.setattr(remote, '_FIRST_PAUSE', 0.01)
    process.kill()
    process.wait()
    dataset.storage.retries = 1
    with pytest.raises(
        DataError, match=r's3://bucket/set/01\.tar cannot be read: .*Tried 2'
    ):
        dataset[6]

"""Shards on an S3-compatible server, on the loopback interface.

Needs s3fs (requirements/remote.txt) and moto's server: install
requirements/s3_server.txt into an environment of its own, and set MMLGD_TEST_MOTO to the
path of its `moto_server`.
"""

import os
import shutil
import signal
import socket
import subprocess
import threading
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


_sleep = time.sleep  # tests replace it


class Server:
    """moto's server, without any objects at first."""

    def __init__(self):
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            self.port = probe.getsockname()[1]
        self.url = f'http://127.0.0.1:{self.port}'
        self.start()

    def start(self):
        # Not with the packages of this environment.
        env = {key: os.environ[key] for key in os.environ if key != 'PYTHONPATH'}
        self.process = subprocess.Popen(
            [MOTO, '-H', '127.0.0.1', '-p', str(self.port)],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(600):
            with socket.socket() as probe:
                if not probe.connect_ex(('127.0.0.1', self.port)):
                    return
            _sleep(0.1)

    def put(self, paths):
        """Store shards as objects of a bucket."""
        files = s3fs.S3FileSystem(endpoint_url=self.url, skip_instance_cache=True)
        files.mkdir('bucket')
        for path in paths:
            files.put_file(str(path), f'bucket/set/{path.name}')
        return files

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(monkeypatch):
    for key in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
        monkeypatch.setenv(key, 'test')
    monkeypatch.setenv('AWS_DEFAULT_REGION', 'us-east-1')
    server = Server()
    yield server
    server.kill()


def build(server, index, **options):
    return UnlabeledShards(
        's3://bucket/set',
        index=index,
        storage_options=dict(endpoint_url=server.url),
        pipeline=[dict(type='mmlgd.LoadImageFromFile')],
        timeout=10,
        **options,
    )


def values(batch):
    return [int(one['img'][0, 0, 0]) for one in batch]


def test_shards_on_s3(server, tmp_path, capsys, monkeypatch):
    paths = write_shards(tmp_path / 'made', [3, 5])
    files = server.put(paths)
    root, index = 's3://bucket/set', str(tmp_path / 'index')
    index_shards.main([root, '--index', index, '--endpoint-url', server.url])
    assert '"images": 8' in capsys.readouterr().out
    dataset = build(server, index)
    assert values(dataset.__getitems__([7, 0, 4])) == [7, 0, 4]
    # Another object of the same size.
    content = bytearray(paths[0].read_bytes())
    content[600] ^= 1
    files.pipe_file('bucket/set/00.tar', bytes(content))
    with pytest.raises(DataError, match=r's3://bucket/set/00\.tar changed'):
        build(server, index)
    files.rm_file('bucket/set/00.tar')
    with pytest.raises(DataError, match=r'1 shards, .*00\.tar|00\.tar'):
        build(server, index)

    monkeypatch.setattr(remote, '_FIRST_PAUSE', 0.01)
    server.kill()
    dataset.storage.retries = 1
    with pytest.raises(
        DataError, match=r's3://bucket/set/01\.tar cannot be read: .*0006\.png.*Tried 2'
    ):
        dataset[6]


def test_reading_resumes_when_a_killed_server_returns(server, tmp_path, monkeypatch):
    paths = write_shards(tmp_path / 'made', [3, 5])
    server.put(paths)
    dataset = build(server, str(tmp_path / 'index'), retries=3)
    pauses = []

    def pause(seconds):
        if seconds in (0.5, 1.0, 2.0) and len(pauses) < 3:
            pauses.append(seconds)
        if len(pauses) == 1 and server.process.poll() is not None:
            server.start()
            server.put(paths)

    # The request is on its way when the server dies.
    server.process.send_signal(signal.SIGSTOP)
    killer = threading.Timer(1, server.kill)
    killer.start()
    monkeypatch.setattr(remote.time, 'sleep', pause)
    assert values(dataset.__getitems__([7, 0])) == [7, 0]
    killer.join()
    assert pauses[0] == 0.5
    assert dataset.broken_paths() == []

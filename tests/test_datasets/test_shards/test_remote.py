"""Shards behind a server on the loopback interface."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmlgd.datasets import SeededViews, UnlabeledShards, ViewSampler
from mmlgd.datasets.shards import remote
from mmlgd.datasets.shards.storage import Range
from mmlgd.errors import ConfigError, DataError
from tests.shards import serving, write_shards

pytest.importorskip('aiohttp')
LOAD = dict(type='mmlgd.LoadImageFromFile')


@pytest.fixture
def server(tmp_path):
    write_shards(tmp_path / 'served', [3, 9, 4])
    with serving(tmp_path / 'served') as server:
        yield server


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses before repeated requests, which are not waited for."""
    taken = []
    monkeypatch.setattr(remote.time, 'sleep', taken.append)
    return taken


def build(server, tmp_path, **options):
    defaults = dict(
        shards='{00..02}.tar',
        index=str(tmp_path / 'index'),
        pipeline=[LOAD],
        timeout=10,
    )
    return UnlabeledShards(server.url, **{**defaults, **options})


def value(sample):
    return int(sample['img'][0, 0, 0])


def test_images_are_those_of_the_folder(server, tmp_path):
    dataset = build(server, tmp_path)
    assert [value(one) for one in dataset] == [*range(16)]
    assert dataset.get_data_info(4)['img_path'].startswith(f'{server.url}/01.tar/')
    # From the index now, and with workers.
    views = SeededViews(build(server, tmp_path))
    loader = DataLoader(
        views, 4, sampler=ViewSampler(views), num_workers=2, collate_fn=pseudo_collate,
        multiprocessing_context='fork',
    )  # fmt: skip
    values = [int(img[0, 0, 0]) for batch in loader for img in batch['img']]
    assert sorted(values) == [*range(16)]


def test_neighbours_of_a_batch_share_a_request(server, tmp_path):
    dataset = build(server, tmp_path)
    before = len(server.requests)
    batch = dataset.__getitems__([4, 3, 5, 12])
    assert [value(one) for one in batch] == [4, 3, 5, 12]
    assert len(server.requests) - before == 2


def test_remote_shards_are_shuffled_shard_by_shard(server, tmp_path):
    dataset = build(server, tmp_path, shuffle_buffer=4, shuffle_run=1)
    order = dataset.pass_order(1)(np.arange(16))
    shards = np.searchsorted([3, 12, 16], order, side='right')
    assert sorted(order.tolist()) == [*range(16)]
    assert all(len({*shards[begin : begin + 4]}) <= 2 for begin in range(0, 16, 4))


def test_a_server_that_hangs_up_is_asked_again(server, tmp_path, pauses):
    dataset = build(server, tmp_path, retries=3)
    begin = len(server.requests)
    server.fail = lambda number: number < begin + 3
    assert value(dataset[7]) == 7
    assert len(server.requests) == begin + 4 and pauses == [0.5, 1, 2]
    assert dataset.broken_paths() == []


def test_a_server_that_stays_broken_is_named_with_the_cause(server, tmp_path, pauses):
    dataset = build(server, tmp_path, retries=2)
    server.fail = lambda number: True
    begin = len(server.requests)
    with pytest.raises(DataError, match=rf'{server.url}/01\.tar cannot be read: .*Payload.*'
                       r"is '0007\.png'\. Tried 3 time\(s\), each for at most 10 s"):  # fmt: skip
        dataset[7]
    assert len(server.requests) == begin + 3 and pauses == [0.5, 1]


def test_a_server_that_is_gone_is_named(server, tmp_path):
    dataset = build(server, tmp_path, retries=1)
    server.shutdown()
    server.server_close()
    for call in (lambda: dataset[7], lambda: build(server, tmp_path, retries=1)):
        with pytest.raises(
            DataError, match=rf'{server.url}/.*cannot be read: .*Connect'
        ):
            call()


class MortalServer:
    """A server in a process that is killed in the middle of an answer.

    Args:
        folder: What it serves.
        requests: Complete answers before.
    """

    def __init__(self, folder, requests):
        self.folder, self.port, self.process = folder, 0, None
        self.start(requests)

    def start(self, requests):
        """Start, or start again at the same address."""
        command = [sys.executable, '-m', 'tests.shards', str(self.folder)]
        self.process = subprocess.Popen(
            [*command, str(self.port), str(requests)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.port = int(self.process.stdout.readline())

    @property
    def url(self):
        return f'http://127.0.0.1:{self.port}'

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def mortal(tmp_path):
    write_shards(tmp_path / 'served', [3, 9, 4])
    server = MortalServer(tmp_path / 'served', 10**6)
    yield server
    server.end()


def kill_soon(server, dataset):
    """Let the next answer be the last, which is not complete."""
    server.end()
    server.start(0)
    return dataset


@pytest.mark.slow
def test_a_server_killed_while_reading_is_named_with_shard_and_image(
    mortal, tmp_path, pauses
):
    dataset = kill_soon(mortal, build(mortal, tmp_path, retries=3))
    with pytest.raises(DataError) as caught:
        dataset.__getitems__([7, 8])
    # Without a timeout, which would sleep.
    assert mortal.process.wait() == -signal.SIGKILL
    message = str(caught.value)
    assert f'{mortal.url}/01.tar cannot be read' in message
    assert "is '0007.png'" in message and 'Tried 4 time(s)' in message
    assert pauses == [0.5, 1, 2]
    assert dataset.broken_paths() == []


@pytest.mark.slow
def test_reading_resumes_when_a_killed_server_returns(mortal, tmp_path, monkeypatch):
    dataset = kill_soon(mortal, build(mortal, tmp_path, retries=3))
    pauses = []

    def pause(seconds):
        assert mortal.process.wait() == -signal.SIGKILL
        pauses.append(seconds)
        if len(pauses) == 2:
            mortal.end()
            mortal.start(10**6)

    monkeypatch.setattr(remote.time, 'sleep', pause)
    batch = dataset.__getitems__([7, 0, 15])
    assert [value(one) for one in batch] == [7, 0, 15]
    assert pauses == [0.5, 1]
    assert dataset.broken_paths() == []


def test_a_server_without_ranges_is_refused(server, tmp_path):
    dataset = build(server, tmp_path, retries=0)
    server.ignores_ranges = True
    with pytest.raises(DataError, match='may not support ranges'):
        dataset[7]


def test_missing_and_changed_shards_are_named(server, tmp_path):
    build(server, tmp_path)
    folder = tmp_path / 'served'
    with pytest.raises(DataError, match=rf'1 of 4 shards .*{server.url}/03\.tar'):
        build(server, tmp_path, shards='{00..03}.tar', index=str(tmp_path / 'other'))
    shutil.copyfile(folder / '02.tar', folder / '00.tar')
    # Last-Modified has whole seconds.
    os.utime(folder / '00.tar', (1, 1))
    with pytest.raises(DataError, match=rf'{server.url}/00\.tar changed'):
        build(server, tmp_path)
    (folder / '00.tar').unlink()
    with pytest.raises(DataError, match=rf'do not exist.*{server.url}/00\.tar'):
        build(server, tmp_path)


def test_options_for_urls(server, tmp_path):
    with pytest.raises(ConfigError, match='set index'):
        build(server, tmp_path, index=None)
    with pytest.raises(ConfigError, match='http has no list of files'):
        build(server, tmp_path, shards='*.tar')


def test_requests_are_merged_within_a_gap_and_a_limit():
    near, far = remote._MAX_GAP, remote._MAX_GAP + 1
    last = Range('a', 30 + near + far, 90 + 2 * far)
    ranges = [
        Range('a', 10, 20),
        Range('a', 0, 5),
        Range('a', 20 + near, 30 + near),
        Range('b', 30 + near, 40 + near),
        last,
    ]
    assert remote._merge(ranges) == [
        Range('a', 0, 30 + near), last,
        Range('b', 30 + near, 40 + near),
    ]  # fmt: skip
    assert (
        len(remote._merge([Range('a', 0, 10), Range('a', 10, remote._MAX_REQUEST + 1)]))
        == 2
    )

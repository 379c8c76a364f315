import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmlgd.datasets.view_store import ViewStore, reader
from mmlgd.errors import DataError
from tests.view_stores import toy_manifest, write_toy_store


@pytest.mark.parametrize(('kind', 'error'), [('float16', 2e-3), ('int8', 2e-2)])
def test_every_row_is_what_was_written(tmp_path, monkeypatch, kind, error):
    # Fewer maps than shards, and pages given back all the time.
    monkeypatch.setattr(reader, '_OPEN_MAPS', 2)
    monkeypatch.setattr(reader, '_READS_BETWEEN_RELEASES', 3)
    # Nine images (shards of 4, 4 and 1), then two that came later.
    pixels, embeddings = write_toy_store(tmp_path, 2, [9, 2], embedding_dtype=kind)
    store = ViewStore(tmp_path)
    assert (store.num_views, store.num_images, store.embed_dims) == (2, 11, 3)
    for view in (1, 0):
        for row in (10, 0, 8, 3, 9, 4, 7, 1, 2, 5, 6):
            checksum, embedding = store.read(view, row)
            assert checksum == pixels[view, row]
            assert embedding.dtype == np.float32
            assert np.allclose(embedding, embeddings[view, row], atol=error)


@pytest.mark.skipif(not Path('/proc/self/maps').is_file(), reason='Linux only')
def test_few_shards_are_open_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, '_OPEN_MAPS', 2)
    write_toy_store(tmp_path, 3, [9])
    store = ViewStore(tmp_path)
    for place in range(27):
        store.read(*divmod(place, 9))
        maps = Path('/proc/self/maps').read_text().splitlines()
        assert 1 <= sum(str(tmp_path) in line for line in maps) <= 2


def test_rows_and_views_outside_are_refused(tmp_path):
    write_toy_store(tmp_path, 2, [5])
    store = ViewStore(tmp_path)
    for place in ((2, 0), (0, 5), (-1, 0), (0, -1)):
        with pytest.raises(IndexError, match='2 views of 5 images'):
            store.read(*place)


def test_a_pickled_store_reads_on_elsewhere(tmp_path):
    pixels, _ = write_toy_store(tmp_path, 1, [5])
    store = ViewStore(tmp_path)
    store.read(0, 0)
    copy = pickle.loads(pickle.dumps(store))
    assert copy.read(0, 4)[0] == pixels[0, 4] == store.read(0, 4)[0]


def test_what_is_read_is_no_view_of_the_map(tmp_path):
    write_toy_store(tmp_path, 1, [5])
    store = ViewStore(tmp_path)
    _, embedding = store.read(0, 0)
    embedding[:] = 0
    assert store.read(0, 0)[1].any()


def test_absent_and_unfinished_stores_are_refused(tmp_path):
    with pytest.raises(DataError, match='no store of views .*build_stored_views.py'):
        ViewStore(tmp_path)
    toy_manifest().write(tmp_path)
    with pytest.raises(DataError, match='not finished; run .* once more'):
        ViewStore(tmp_path)


def test_missing_and_truncated_shards_are_named(tmp_path):
    write_toy_store(tmp_path, 2, [9])
    path = tmp_path / 'views/001/000000004.bin'
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r'001/000000004.bin has 39 bytes, .* have 40'):
        ViewStore(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match='001/000000004.bin is missing'):
        ViewStore(tmp_path)


@pytest.mark.parametrize(
    'change', [dict(format_version=2), dict(format='other'), dict(colour='red')]
)
def test_manifests_of_other_versions_are_refused(tmp_path, change):
    write_toy_store(tmp_path, 1, [2])
    path = tmp_path / 'manifest.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match='manifest.json is of .* this mmlgd reads'):
        ViewStore(tmp_path)


@pytest.mark.parametrize('content', ['{"format": ', '{}', '[]'])
def test_broken_manifests_are_refused(tmp_path, content):
    (tmp_path / 'manifest.json').write_text(content)
    with pytest.raises(DataError, match='manifest.json is no manifest'):
        ViewStore(tmp_path)


RESIDENT = """
import random, sys
from mmlgd.datasets.view_store import ViewStore

def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * 4096

store = ViewStore(sys.argv[1])
rows = random.Random(0)
store.read(0, 0)
before = most = resident()
for number in range(30000):
    store.read(number // 3000, rows.randrange(store.num_images))
    if number % 250 == 0:
        most = max(most, resident())
print(most - before)
"""


@pytest.mark.skipif(not Path('/proc/self/statm').is_file(), reason='Linux only')
def test_resident_memory_does_not_grow_with_the_store(tmp_path):
    def growth(images):
        store = tmp_path / str(images)
        manifest = toy_manifest(
            embed_dims=1024, shard_size=2**18, num_views=10, segments=[images]
        )
        for shard in manifest.shards():
            path = shard.path(store)
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, 'wb') as file:  # Sparse: no disk is needed.
                file.truncate(shard.size * manifest.row_dtype.itemsize)
        manifest.write(store)
        command = [sys.executable, '-c', RESIDENT, str(store)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(done.stdout.split()[-1])

    # 10 GB, of which the reads touch about 180 MB.
    assert growth(487_500) < 40e6
    assert growth(1000) < 40e6

import json
import os
import pickle
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mmlgd.errors import DataError
from mmlgd.stores import ViewStore, shards
from tests.view_stores import toy_manifest, write_toy_store


def keep_two_files_open(monkeypatch):
    opened = lru_cache(2)(shards._file_of.__wrapped__)
    monkeypatch.setattr(shards, '_file_of', opened)


@pytest.mark.parametrize(('kind', 'error'), [('float16', 2e-3), ('int8', 2e-2)])
def test_every_row_is_what_was_written(tmp_path, monkeypatch, kind, error):
    # Fewer open files than shards.
    keep_two_files_open(monkeypatch)
    # Nine images (shards of 4, 4 and 1), then two that came later.
    pixels, embeddings = write_toy_store(tmp_path, 2, [9, 2], embedding_dtype=kind)
    store = ViewStore(tmp_path)
    assert (store.num_views, store.num_images) == (2, 11)
    for view in (1, 0):
        for row in (10, 0, 8, 3, 9, 4, 7, 1, 2, 5, 6):
            checksum, embedding = store.read(view, row)
            assert checksum == pixels[view, row]
            assert embedding.dtype == np.float32
            assert np.allclose(embedding, embeddings[view, row], atol=error)


@pytest.mark.skipif(not Path('/proc/self/fd').is_dir(), reason='Linux only')
def test_few_shards_are_open_at_a_time(tmp_path, monkeypatch):
    keep_two_files_open(monkeypatch)
    write_toy_store(tmp_path, 3, [9])
    store = ViewStore(tmp_path)
    for place in range(27):
        store.read(*divmod(place, 9))
        links = [os.path.realpath(one) for one in Path('/proc/self/fd').iterdir()]
        assert 1 <= sum(str(tmp_path) in link for link in links) <= 2


def test_rows_and_views_outside_are_refused(tmp_path):
    write_toy_store(tmp_path, 2, [5])
    store = ViewStore(tmp_path)
    for place in ((2, 0), (0, 5), (-1, 0), (0, -1)):
        with pytest.raises(IndexError, match='2 views of 5 images'):
            store.read(*place)


def test_a_pickled_store_is_readable_in_another_process(tmp_path):
    pixels, _ = write_toy_store(tmp_path, 1, [5])
    store = ViewStore(tmp_path)
    store.read(0, 0)
    copy = pickle.loads(pickle.dumps(store))
    assert copy.read(0, 4)[0] == pixels[0, 4] == store.read(0, 4)[0]


def test_read_rows_are_copies(tmp_path):
    write_toy_store(tmp_path, 1, [5])
    store = ViewStore(tmp_path)
    _, embedding = store.read(0, 0)
    embedding[:] = 0
    assert store.read(0, 0)[1].any()


def test_missing_and_unfinished_stores_are_refused(tmp_path):
    with pytest.raises(DataError, match='no store of views .*build_stored_views.py'):
        ViewStore(tmp_path)
    toy_manifest().write(tmp_path)
    with pytest.raises(DataError, match='not finished; run .* once more'):
        ViewStore(tmp_path)


def test_missing_and_truncated_shards_are_named(tmp_path):
    write_toy_store(tmp_path, 2, [9])
    path = tmp_path / 'views/001/000000004.safetensors'
    content = path.read_bytes()
    for spoiled in (content[:-1], content + b'x', b'', b'{' * 100):
        path.write_bytes(spoiled)
        message = (
            r'001/000000004.safetensors is malformed or truncated .* copy it again'
        )
        with pytest.raises(DataError, match=message):
            ViewStore(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match='001/000000004.safetensors is missing'):
        ViewStore(tmp_path)


def test_a_shard_that_is_cut_off_while_it_is_read_is_named(tmp_path):
    write_toy_store(tmp_path, 1, [9])
    store = ViewStore(tmp_path)
    path = tmp_path / 'views/000/000000004.safetensors'
    store.read(0, 4)
    os.truncate(path, 100)
    with pytest.raises(DataError, match='000000004.safetensors is truncated'):
        store.read(0, 4)


def test_a_shard_of_other_columns_is_refused(tmp_path):
    write_toy_store(tmp_path / 'int8', 1, [4], embedding_dtype='int8')
    write_toy_store(tmp_path / 'float16', 1, [4])
    name = 'views/000/000000000.safetensors'
    shutil.copy(tmp_path / 'int8' / name, tmp_path / 'float16' / name)
    message = r'has no embedding of type float16, shape \[4, 3\]'
    with pytest.raises(DataError, match=message):
        ViewStore(tmp_path / 'float16')


def test_further_columns_do_not_matter(tmp_path):
    pixels, _ = write_toy_store(tmp_path, 1, [4])
    path = tmp_path / 'views/000/000000000.safetensors'
    columns = load_file(path)
    save_file({**columns, 'a': np.zeros((4, 5)), 'z': np.zeros(9)}, path)
    store = ViewStore(tmp_path)
    assert [store.read(0, row)[0] for row in range(4)] == pixels[0].tolist()


def test_a_reader_written_from_the_description_of_the_format(tmp_path):
    """As described in docs/stored_views.md, without using mmlgd."""
    pixels, embeddings = write_toy_store(tmp_path, 2, [9, 2], embedding_dtype='int8')
    manifest = json.loads((tmp_path / 'manifest.json').read_text())
    assert (manifest['format'], manifest['format_version']) == ('mmlgd stored views', 2)
    begin = 0
    for images in manifest['segments']:
        for first in range(begin, begin + images, manifest['shard_size']):
            rows = slice(first, min(first + manifest['shard_size'], begin + images))
            names = load_file(tmp_path / f'images/{first:09}.safetensors')['names']
            wanted = [f'a{row}'.encode() for row in range(rows.start, rows.stop)]
            assert names.tobytes().split(b'\0') == [*wanted, b'']
            for view in range(manifest['num_views']):
                path = tmp_path / f'views/{view:03}/{first:09}.safetensors'
                shard = load_file(path)
                assert np.array_equal(shard['pixels'], pixels[view, rows])
                found = shard['embedding'] * shard['scale'][:, None]
                assert np.allclose(found, embeddings[view, rows], atol=2e-2)
        begin += images


def change_manifest(store, **change):
    path = store / 'manifest.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


@pytest.mark.parametrize(
    'change', [dict(format_version=3), dict(format=None), dict(colour='red')]
)
def test_manifests_of_other_versions_are_refused(tmp_path, change):
    write_toy_store(tmp_path, 1, [2])
    change_manifest(tmp_path, **change)
    with pytest.raises(DataError, match='manifest.json is of .* this mmlgd reads'):
        ViewStore(tmp_path)


@pytest.mark.parametrize(
    'content', ['{"format": ', '[]', '[' * 10**6, '1' * 5000, '\xff', '"']
)
def test_broken_manifests_are_refused(tmp_path, content):
    (tmp_path / 'manifest.json').write_text(content, encoding='latin-1')
    with pytest.raises(DataError, match='manifest.json is not a manifest'):
        ViewStore(tmp_path)


@pytest.mark.parametrize(
    'change',
    [
        dict(segments=[]),
        dict(embed_dims=0),
        dict(embed_dims=2**60),
        dict(embed_dims='3'),
        dict(embed_dims=True),
        dict(image_mean=[1, 2]),
        dict(image_mean=[1, 2, float('nan')]),
        dict(image_std=[1, 2, 0]),
        dict(image_std=[1, 2, 10**400]),
        dict(segments=[2**50]),
        dict(segments=[-2, 4]),
        dict(segments={'2': 2}),
        dict(shard_size=0),
        dict(num_views=10**9),
        dict(embedding_dtype='../../x'),
        dict(teacher=None),
        dict(teacher_config=[]),
        dict(seed=-1),
        dict(segments=[2**40], shard_size=1),
        dict(segments=[1] * 10**5, num_views=100),
    ],
    ids=str,
)
def test_invalid_values_are_refused_before_reading(tmp_path, change):
    write_toy_store(tmp_path, 1, [2])
    change_manifest(tmp_path, **change)
    with pytest.raises(DataError, match='manifest.json is not a manifest'):
        ViewStore(tmp_path)


RESIDENT = """
import random, sys
from mmlgd.stores import ViewStore

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


def header_of(rows):
    columns = dict(
        pixels=dict(dtype='U32', shape=[rows], data_offsets=[0, 4 * rows]),
        embedding=dict(
            dtype='F16', shape=[rows, 1024], data_offsets=[4 * rows, 2052 * rows]
        ),
    )
    text = json.dumps(columns).encode()
    return len(text).to_bytes(8, 'little') + text


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/statm').is_file(), reason='Linux only')
def test_resident_memory_does_not_grow_with_the_store(tmp_path):
    def growth(images):
        store = tmp_path / str(images)
        manifest = toy_manifest(
            embed_dims=1024, shard_size=2**18, num_views=10, segments=[images]
        )
        for shard in manifest.view_shards():
            path = shard.path(store)
            path.parent.mkdir(parents=True, exist_ok=True)
            header = header_of(shard.size)
            with open(path, 'wb') as file:  # Sparse: no disk is needed.
                file.write(header)
                file.truncate(len(header) + shard.size * manifest.row_bytes)
        manifest.write(store)
        command = [sys.executable, '-c', RESIDENT, str(store)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(done.stdout.split()[-1])

    # 10 GB, of which the reads touch about 180 MB.
    assert growth(487_500) < 40e6
    assert growth(1000) < 40e6

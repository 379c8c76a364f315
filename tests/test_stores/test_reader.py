import json
import os
import pickle
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from mmlgd.datasets.shards import storage
from mmlgd.errors import DataError
from mmlgd.stores import ViewStore
from tests.view_stores import toy_manifest, write_toy_store


def keep_two_files_open(monkeypatch):
    monkeypatch.setattr(storage, '_MAX_OPEN', 2)


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
    path = tmp_path / 'views/001/000000004.records'
    content = path.read_bytes()
    for spoiled in (content[:-1], content + b'x', b''):
        path.write_bytes(spoiled)
        message = (
            rf'001/000000004.records has {len(spoiled)} bytes instead of '
            rf'{len(content)}; copy it again'
        )
        with pytest.raises(DataError, match=message):
            ViewStore(tmp_path)
    path.unlink()
    message = '001/000000004.records is missing; copy it again'
    with pytest.raises(DataError, match=message):
        ViewStore(tmp_path)


def test_a_shard_that_is_cut_off_or_removed_while_it_is_read_is_named(tmp_path):
    write_toy_store(tmp_path, 1, [9])
    store, other = ViewStore(tmp_path), ViewStore(tmp_path)
    path = tmp_path / 'views/000/000000004.records'
    store.read(0, 4)
    os.truncate(path, 10)
    with pytest.raises(DataError, match='000000004.records has a wrong checksum'):
        store.read(0, 4)
    path.unlink()
    with pytest.raises(DataError, match='000000004.records cannot be read'):
        other.read(0, 4)


def test_each_flipped_bit_of_a_row_is_found_when_it_is_read(tmp_path):
    write_toy_store(tmp_path, 1, [2], embedding_dtype='int8')
    path = tmp_path / 'views/000/000000000.records'
    content = path.read_bytes()
    store = ViewStore(tmp_path)
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        row = place // (len(content) // 2)
        message = f'000000000.records has a wrong checksum at row {row}'
        with pytest.raises(DataError, match=message):
            store.read(0, row)
        store.read(0, 1 - row)


@pytest.mark.parametrize(
    ('there', 'here'),
    [
        ('store/views/001/000000000', 'store/views/000/000000000'),
        ('store/views/000/000000000', 'store/views/000/000000004'),
        ('other/views/000/000000000', 'store/views/000/000000000'),
    ],
    ids=['view', 'rows', 'teacher'],
)
def test_a_shard_of_another_place_or_teacher_is_refused(tmp_path, there, here):
    write_toy_store(tmp_path / 'store', 2, [8])
    write_toy_store(tmp_path / 'other', 2, [8], teacher='net#abcd1234')
    shutil.copy(tmp_path / f'{there}.records', tmp_path / f'{here}.records')
    store = ViewStore(tmp_path / 'store')
    message = f'{here}.records has a wrong checksum .* of another place'
    with pytest.raises(DataError, match=message):
        store.read(0, int(here[-9:]))


def test_a_shard_of_another_dtype_is_refused(tmp_path):
    write_toy_store(tmp_path / 'int8', 1, [4], embedding_dtype='int8')
    write_toy_store(tmp_path / 'float16', 1, [4])
    name = 'views/000/000000000.records'
    shutil.copy(tmp_path / 'int8' / name, tmp_path / 'float16' / name)
    # Four rows of a checksum, pixels and three numbers, of int8 with a scale.
    message = r'has 60 bytes instead of 56'
    with pytest.raises(DataError, match=message):
        ViewStore(tmp_path / 'float16')


def test_a_reader_written_from_the_description_of_the_format(tmp_path):
    """As described in docs/stored_views.md, without using mmlgd."""
    pixels, embeddings = write_toy_store(tmp_path, 2, [9, 2], embedding_dtype='int8')
    manifest = json.loads((tmp_path / 'manifest.json').read_text())
    assert (manifest['format'], manifest['format_version']) == ('mmlgd stored views', 2)
    teacher = manifest['teacher'].split('#')[1]
    record = np.dtype(
        [
            ('crc', '<u4'),
            ('pixels', '<u4'),
            ('scale', '<f4'),
            ('embedding', 'i1', manifest['embed_dims']),
        ]
    )

    def is_sound(place, record):
        checksum = zlib.crc32(f'{teacher} {place} '.encode() + record[4:])
        return record[:4] == checksum.to_bytes(4, 'little')

    begin = 0
    for images in manifest['segments']:
        for first in range(begin, begin + images, manifest['shard_size']):
            rows = range(first, min(first + manifest['shard_size'], begin + images))
            table = (tmp_path / f'images/{first:09}.records').read_bytes()
            assert is_sound(f'images {first}', table)
            wanted = [f'a{row}'.encode() for row in rows]
            assert table[4 : -16 * len(rows)].split(b'\0') == [*wanted, b'']
            for view in range(manifest['num_views']):
                folder = f'views/{view:03}'
                path = tmp_path / folder / f'{first:09}.records'
                shard = np.memmap(path, record, mode='r')
                assert len(shard) == len(rows)
                for row, one in zip(rows, shard):
                    assert is_sound(f'{folder} {row}', one.tobytes())
                    assert one['pixels'] == pixels[view, row]
                    found = one['scale'] * one['embedding']
                    assert np.allclose(found, embeddings[view, row], atol=2e-2)
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
import random, sys, zlib
from mmlgd.stores import ViewStore, shards

def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * 4096

# The files have no content and so no checksums; they are computed all the same.
shards.Shard.seal = lambda self, row, content: (zlib.crc32(content), bytes(4) + content)[1]
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
            with open(path, 'wb') as file:  # Sparse: no disk is needed.
                file.truncate(shard.size * manifest.row_bytes)
        manifest.write(store)
        command = [sys.executable, '-c', RESIDENT, str(store)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(done.stdout.split()[-1])

    # 10 GB, of which the reads touch about 180 MB.
    assert growth(487_500) < 40e6
    assert growth(1000) < 40e6

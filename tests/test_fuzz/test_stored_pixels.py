"""Damaged and hostile pixels of a store: the right view, or an mmlgd error."""

import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmlgd.errors import DataError, MMLGDError
from mmlgd.pixels.codec import PixelCodec
from mmlgd.pixels.dataset import StoredPixels
from mmlgd.stores.build import write_view
from tests.view_stores import toy_manifest, toy_table

SIZE = 8
CODECS = st.sampled_from(['jpeg', 'webp'])
TAR = 'views/000/000000000.tar'


def write(store, codec, contents):
    """A store of one view of each image, whose rows agree with any contents."""
    manifest = toy_manifest(
        num_views=1,
        segments=[len(contents)],
        pixels=dict(codec=codec, quality=90, height=SIZE, width=SIZE),
    )
    (shard,) = manifest.view_shards()
    checksums = np.array([zlib.crc32(one) for one in contents], np.uint32)
    rows = np.eye(len(contents), 3, dtype=np.float32)
    write_view(manifest, shard, store, checksums, rows, contents)
    toy_table(0, shard.size).write(store, shard._replace(view=None))
    manifest.write(store)


def encoded(codec):
    coder = PixelCodec(codec, 90, SIZE, SIZE)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 3, SIZE, SIZE), dtype=np.uint8)
    return [coder.encode(torch.from_numpy(view)) for view in pixels]


@pytest.fixture(scope='module')
def stores(tmp_path_factory):
    """A sound store of each codec, with its items."""
    found = {}
    for codec in ('jpeg', 'webp'):
        store = tmp_path_factory.mktemp(codec)
        write(store, codec, encoded(codec))
        views = StoredPixels(store)
        found[codec] = store, [views[row]['inputs'] for row in range(3)]
    return found


@given(st.data(), CODECS)
def test_bytes_of_a_tar_file_that_are_flipped_cut_off_or_added(stores, data, codec):
    store, items = stores[codec]
    sound = (store / TAR).read_bytes()
    content = bytearray(sound)
    place = st.integers(0, len(content) - 1)
    for index in data.draw(st.lists(place, max_size=4, unique=True)):
        content[index] ^= data.draw(st.integers(1, 255))
    content = content[: data.draw(st.none() | place)]
    (store / TAR).write_bytes(content + data.draw(st.binary(max_size=9)))
    try:
        views = StoredPixels(store)
        for row, wanted in enumerate(items):
            try:
                assert torch.equal(views[row]['inputs'], wanted)
            except DataError as error:
                assert TAR in str(error)
    except DataError as error:
        assert TAR in str(error)
    finally:
        (store / TAR).write_bytes(sound)


@given(st.data(), CODECS)
def test_any_bytes_with_a_right_checksum(tmp_path_factory, data, codec):
    sound = encoded(codec)[0]
    damaged = bytearray(sound)
    for index in data.draw(st.lists(st.integers(0, len(sound) - 1), max_size=4)):
        damaged[index] = data.draw(st.integers(0, 255))
    any_bytes = st.binary(max_size=60)
    content = data.draw(
        any_bytes
        | st.just(bytes(damaged))
        | any_bytes.map(lambda tail: sound[:40] + tail)
    )
    store = tmp_path_factory.mktemp('any')
    write(store, codec, [content])
    try:
        inputs = StoredPixels(store)[0]['inputs']
    except MMLGDError as error:
        str(error).encode()
    else:
        assert inputs.shape == (3, SIZE, SIZE)


@given(st.data())
def test_any_place_in_a_row_with_a_right_checksum(stores, data):
    store, items = stores['jpeg']
    views = StoredPixels(store)
    (reader,) = views.store.readers
    rows = np.array([reader.row(index) for index in range(3)])
    for field, limit in (('start', 2**64 - 1), ('size', 2**32 - 1)):
        rows[field][1] = data.draw(
            st.integers(0, 4096) | st.sampled_from([limit, limit // 2, 2**31])
        )
    path = reader.shard.path(store)
    sound = path.read_bytes()
    records = (
        reader.shard.seal(place, row.tobytes()) for place, row in enumerate(rows)
    )
    path.write_bytes(b''.join(records))
    try:
        assert torch.equal(StoredPixels(store)[1]['inputs'], items[1])
    except MMLGDError:
        pass
    finally:
        path.write_bytes(sound)

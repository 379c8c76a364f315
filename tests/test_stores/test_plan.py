"""Starting, resuming, distributing and extending a store, without a teacher."""

import io
import os
import time
from dataclasses import replace

import numpy as np
import pytest

from mmlgd.datasets import UnlabeledImages
from mmlgd.datasets.image_list import list_image
from mmlgd.errors import ConfigError, DataError
from mmlgd.stores import Manifest, ViewStore
from mmlgd.stores import images as images_module
from mmlgd.stores.build import check_same, open_store, write_view
from tests.view_stores import in_memory, toy_manifest


def images(root, *names):
    root.mkdir(exist_ok=True)
    for name in names:
        (root / f'{name}.png').write_bytes(f'pixels of {name}'.encode())
    return UnlabeledImages(data_root=str(root))


def hashes_of(plan, shard):
    rows = range(shard.first, shard.first + shard.size)
    listed = [list_image(plan.dataset, int(plan.indices[row])) for row in rows]
    return np.array([np.frombuffer(one.content_hash(), np.uint8) for one in listed])


def fill(plan, shards):
    """Rows with their own place as checksum."""
    for shard in shards:
        pixels = 1000 * shard.view + shard.first + np.arange(shard.size)
        plan.check_images(shard, hashes_of(plan, shard))
        write_view(plan.manifest, shard, plan.store, pixels, np.ones((shard.size, 3)))


def build(store, dataset, views, manifest=None):
    plan = open_store(store, manifest or toy_manifest(), dataset, views)
    fill(plan, plan.share(0, 1))
    assert plan.seal()
    return plan


def places(shards):
    return [(one.view, one.first, one.size) for one in shards]


def test_workers_share_all_shards_whatever_is_there(tmp_path):
    dataset = images(tmp_path / 'images', *'abcdefghij')
    plan = open_store(tmp_path / 'store', toy_manifest(), dataset, 2)
    every = [(view, *one) for view in (0, 1) for one in ((0, 4), (4, 4), (8, 2))]
    assert places(plan.share(0, 1)) == every
    assert places(plan.share(1, 4)) == [(0, 4, 4), (1, 8, 2)]
    fill(plan, plan.share(0, 4))
    assert not plan.seal()
    # What the first worker has written changes nothing for the second.
    assert places(plan.share(1, 4)) == [(0, 4, 4), (1, 8, 2)]
    assert places(plan.share(0, 1)) == [one for one in every if one not in every[::4]]
    fill(plan, plan.share(0, 1))
    assert plan.seal()
    assert ViewStore(tmp_path / 'store').num_views == 2


def test_more_views_do_not_change_the_old_ones(tmp_path):
    dataset, store = images(tmp_path / 'images', *'abcde'), tmp_path / 'store'
    build(store, dataset, 1)
    old = store / 'views/000/000000000.records'
    before = old.stat().st_mtime_ns
    plan = open_store(store, toy_manifest(), dataset, 3)
    assert places(plan.share(0, 1)) == [(1, 0, 4), (1, 4, 1), (2, 0, 4), (2, 4, 1)]
    # Until the build is complete, readers see the previous state.
    assert ViewStore(store).num_views == 1
    fill(plan, plan.share(0, 1))
    assert plan.seal() and ViewStore(store).num_views == 3
    assert old.stat().st_mtime_ns == before
    # Fewer views than there are: they stay.
    build(store, dataset, 2)
    assert ViewStore(store).num_views == 3


def test_images_that_come_later_get_rows_and_shards_of_their_own(tmp_path):
    root, store = tmp_path / 'images', tmp_path / 'store'
    build(store, images(root, *'bdf'), 2)
    more = images(root, *'aceg')
    plan = open_store(store, toy_manifest(), more, 2)
    assert places(plan.share(0, 1)) == [(0, 3, 4), (1, 3, 4)]
    # In the dataset the seven are in order: b, d, f have rows 0, 1, 2.
    assert plan.indices.tolist() == [1, 3, 5, 0, 2, 4, 6]
    fill(plan, plan.share(0, 1))
    assert ViewStore(store).num_images == 3
    assert plan.seal()
    reader = ViewStore(store)
    assert reader.match(more).tolist() == [3, 0, 4, 1, 5, 2, 6]
    assert reader.read(1, 2)[0] == 1002 and reader.read(1, 3)[0] == 1003
    # The old shards are what they were.
    tables = sorted(path.name[:9] for path in (store / 'images').iterdir())
    assert tables == ['000000000', '000000003']


def test_views_and_images_that_are_added_at_the_same_time(tmp_path):
    root, store = tmp_path / 'images', tmp_path / 'store'
    build(store, images(root, *'bdf'), 1)
    views = open_store(store, toy_manifest(), images(root), 3)
    more = open_store(store, toy_manifest(), images(root, *'ac'), 1)
    for plan in (views, more):
        fill(plan, plan.share(0, 1))
    assert views.seal()
    assert ViewStore(store).num_views == 3
    # The new images have one view of three.
    assert not more.seal()
    assert ViewStore(store).num_images == 3
    assert build(store, images(root), 1).seal()
    reader = ViewStore(store)
    assert (reader.num_views, reader.num_images) == (3, 5)
    assert reader.match(images(root)).tolist() == [3, 0, 4, 1, 2]


def test_the_order_of_the_dataset_needs_no_map(tmp_path):
    dataset = images(tmp_path / 'images', *'abc')
    build(tmp_path / 'store', dataset, 1)
    assert ViewStore(tmp_path / 'store').match(dataset) is None


def test_images_missing_from_a_store_are_named_with_how_to_fix_it(tmp_path):
    root, store = tmp_path / 'images', tmp_path / 'store'
    build(store, images(root, *'bc'), 1)
    message = r'2 of the 4 images .* first is a.png; add'
    with pytest.raises(DataError, match=message):
        ViewStore(store).match(images(root, 'a', 'd'))


def test_more_views_need_all_images(tmp_path):
    root, store = tmp_path / 'images', tmp_path / 'store'
    build(store, images(root, *'abc'), 1)
    (root / 'b.png').unlink()
    plan = open_store(store, toy_manifest(), images(root), 2)
    with pytest.raises(
        DataError, match='has the image b.png, and the dataset does not'
    ):
        plan.share(0, 1)


def test_one_of_two_equal_images_serves_both_rows(tmp_path):
    store = tmp_path / 'store'
    build(store, in_memory(4, 5, 4, 6), 1)
    fewer = in_memory(6, 4, 5)
    plan = open_store(store, toy_manifest(), fewer, 2)
    assert plan.indices.tolist() == [1, 2, 1, 0]
    assert places(plan.share(0, 1)) == [(1, 0, 4)]


@pytest.mark.slow
def test_an_unfinished_build_takes_no_other_images(tmp_path):
    root, store = tmp_path / 'images', tmp_path / 'store'
    plan = open_store(store, toy_manifest(), images(root, *'abcdefgh'), 1)
    fill(plan, plan.share(0, 2))
    for dataset in (images(root, 'i'), images(tmp_path / 'fewer', *'abc')):
        if len(dataset) > 8:
            (root / 'a.png').unlink()
            dataset = images(root)
        with pytest.raises(DataError, match='being built of other images: images/000'):
            open_store(store, toy_manifest(), dataset, 1)
    # In memory, too, where images have no names.
    plan = open_store(tmp_path / 'memory', toy_manifest(), in_memory(1, 2), 1)
    fill(plan, plan.share(0, 1))
    with pytest.raises(DataError, match='being built of other images: images/000'):
        open_store(tmp_path / 'memory', toy_manifest(), in_memory(1, 3), 1)


def test_no_view_is_added_of_an_image_that_has_changed(tmp_path):
    root, store = tmp_path / 'images', tmp_path / 'store'
    build(store, images(root, *'abc'), 1)
    plan = open_store(store, toy_manifest(), images(root), 2)
    (root / 'b.png').write_bytes(b'PIXELS of b')
    with pytest.raises(DataError, match='b.png is not what .* its content differs'):
        fill(plan, plan.share(0, 1))


def test_names_that_are_not_utf8_survive(tmp_path):
    """Their bytes, which Python shows as surrogates."""
    root, store = tmp_path / 'images', tmp_path / 'store'
    root.mkdir()
    for name in (b'a\xff.png', b'b.png'):
        with open(bytes(root) + b'/' + name, 'wb') as file:
            file.write(name)
    dataset = UnlabeledImages(data_root=str(root))
    build(store, dataset, 1)
    assert ViewStore(store).match(dataset) is None
    assert ViewStore(store).table().names == [b'a\xff.png', b'b.png']
    with open(bytes(root) + b'/c\xfe.png', 'wb') as file:
        file.write(b'c')
    with pytest.raises(DataError, match=r'the first is c\\xfe.png;') as caught:
        ViewStore(store).match(UnlabeledImages(data_root=str(root)))
    str(caught.value).encode()  # Messages can be printed.
    with open(bytes(root) + b'/a\xff.png', 'wb') as file:
        file.write(b'other')
    with pytest.raises(DataError, match=r'The image a\\xff.png is not what') as caught:
        ViewStore(store).match(UnlabeledImages(data_root=str(root), indices=2))
    str(caught.value).encode()


def test_a_recent_temporary_file_is_kept_and_no_lock_is_needed(tmp_path, monkeypatch):
    """Where flock does not work, another machine may be writing this very moment."""

    def no_locks(*args):
        raise OSError('no locks available')

    monkeypatch.setattr('fcntl.flock', no_locks)
    dataset, store = images(tmp_path / 'images', *'ab'), tmp_path / 'store'
    plan = open_store(store, toy_manifest(), dataset, 1)
    fill(plan, plan.share(0, 1))
    folders = (store, store / 'images', store / 'views/000')
    live = [folder / '.x.0123abcd.mmlgd-tmp' for folder in folders]
    stale = [folder / '.y.0123abcd.mmlgd-tmp' for folder in folders]
    for path in live + stale:
        path.write_bytes(b'part')
    for path in stale:
        os.utime(path, (time.time() - 2 * 24 * 3600,) * 2)
    open_store(store, toy_manifest(), dataset, 1)
    assert all(path.is_file() for path in live)
    assert not any(path.exists() for path in stale)


def test_two_writers_of_a_shard_leave_it_whole(tmp_path):
    dataset, store = images(tmp_path / 'images', *'ab'), tmp_path / 'store'
    plan = open_store(store, toy_manifest(), dataset, 1)
    (shard,) = plan.share(0, 1)
    fill(plan, [shard])
    before = shard.path(store).read_bytes()
    fill(plan, [shard])
    assert shard.path(store).read_bytes() == before
    assert plan.seal()


def test_opening_touches_a_sample_of_the_files_only(tmp_path, monkeypatch):
    """With a million images, checking each one on each rank takes minutes."""
    names = [f'{number:04}' for number in range(1000)]
    dataset, store = images(tmp_path / 'images', *names), tmp_path / 'store'
    dataset.full_init()
    build(store, dataset, 1, toy_manifest(shard_size=1000))
    looked = set()

    def watched(name):
        called = getattr(os, name)

        def call(path, *args, **kwargs):
            looked.add(str(path)) if str(path).endswith('.png') else None
            return called(path, *args, **kwargs)

        return call

    for name in ('stat', 'lstat'):
        monkeypatch.setattr(os, name, watched(name))
    opened = io.open
    monkeypatch.setattr(
        io, 'open', lambda path, *rest: looked.add(str(path)) or opened(path, *rest)
    )
    assert ViewStore(store).match(dataset) is None
    assert (
        len({one for one in looked if one.endswith('.png')})
        <= 2 * images_module.HASHED_SAMPLE
    )


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(teacher='net#9'), "begun with teacher = 'net#1234abcd', .* has 'net#9'"),
        (dict(seed=1), 'begun with seed = 0, but this call has 1'),
        (dict(embedding_dtype='int8'), "embedding_dtype = 'float16', .* has 'int8'"),
        (dict(shard_size=5), 'shard_size = 4, but this call has 5'),
        (dict(image_std=[1.0] * 3), 'begun with image_std'),
        (dict(pipeline=[]), 'made with pipeline = None'),
    ],
)
def test_another_build_is_refused_by_name(tmp_path, change, message):
    dataset, store = images(tmp_path / 'images', *'ab'), tmp_path / 'store'
    build(store, dataset, 1)
    wanted = replace(toy_manifest(), **change)
    with pytest.raises(ConfigError, match=message):
        open_store(store, wanted, dataset, 1)
    with pytest.raises(ConfigError, match=message):
        check_same(Manifest.read(store), wanted, store)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_refused(tmp_path, value):
    dataset, store = images(tmp_path / 'images', *'ab'), tmp_path / 'store'
    plan = open_store(store, toy_manifest(), dataset, 1)
    (shard,) = plan.share(0, 1)
    rows = np.array([[0, 1, 2], [0, value, 1]], np.float32)
    with pytest.raises(DataError, match='NaN or infinity for view 0'):
        write_view(plan.manifest, shard, store, np.zeros(2), rows)
    assert not shard.path(store).exists()

"""Beginning, continuing, sharing out and extending a store, without a teacher."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mmlgd.datasets import UnlabeledImages
from mmlgd.datasets.view_store import ViewStore
from mmlgd.datasets.view_store.opening import look_at_store, open_store
from mmlgd.datasets.view_store.writer import ShardWriter
from mmlgd.errors import ConfigError, DataError
from tests.view_stores import in_memory, toy_manifest


def images(root, *names):
    root.mkdir(exist_ok=True)
    for name in names:
        (root / f'{name}.png').write_bytes(f'pixels of {name}'.encode())
    return UnlabeledImages(data_root=str(root))


def fill(plan, shards):
    """Rows with their own place as checksum."""
    for shard in shards:
        pixels = 1000 * shard.view + shard.first + np.arange(shard.size)
        with ShardWriter(plan.store, shard, 'float16', 3) as writer:
            writer.append(pixels, np.ones((shard.size, 3), np.float32))


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
    assert places(plan.shards()) == every
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


def test_more_views_leave_the_old_ones_alone(tmp_path):
    dataset, store = images(tmp_path / 'images', *'abcde'), tmp_path / 'store'
    build(store, dataset, 1)
    old = store / 'views/000/000000000.bin'
    before = old.stat().st_mtime_ns
    plan = open_store(store, toy_manifest(), dataset, 3)
    assert places(plan.share(0, 1)) == [(1, 0, 4), (1, 4, 1), (2, 0, 4), (2, 4, 1)]
    # Until all is there, readers see what was.
    assert ViewStore(store).num_views == 1
    fill(plan, plan.share(0, 1))
    assert plan.seal() and ViewStore(store).num_views == 3
    assert old.stat().st_mtime_ns == before
    # Fewer views than there are: they stay.
    assert build(store, dataset, 2).num_views == 3


def test_images_that_come_later_get_rows_and_shards_of_their_own(tmp_path):
    root, store = tmp_path / 'images', tmp_path / 'store'
    build(store, images(root, *'bdf'), 2)
    more = images(root, *'aceg')
    plan = open_store(store, toy_manifest(), more, 2)
    assert places(plan.share(0, 1)) == [(0, 3, 4), (1, 3, 4)]
    # In the data set the seven are in order: b, d, f have rows 0, 1, 2.
    assert plan.indices.tolist() == [1, 3, 5, 0, 2, 4, 6]
    fill(plan, plan.share(0, 1))
    assert ViewStore(store).num_images == 3
    assert plan.seal()
    reader = ViewStore(store)
    assert reader.match(more).tolist() == [3, 0, 4, 1, 5, 2, 6]
    assert reader.read(1, 2)[0] == 1002 and reader.read(1, 3)[0] == 1003
    # The old table is in the new one.
    assert [path.name for path in (store / 'images').iterdir()] == ['000000007']


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
    assert reader.manifest.images == reader.table.digest()


def test_the_order_of_the_data_set_needs_no_map(tmp_path):
    dataset = images(tmp_path / 'images', *'abc')
    build(tmp_path / 'store', dataset, 1)
    assert ViewStore(tmp_path / 'store').match(dataset) is None


def test_images_that_a_store_lacks_are_named_with_the_mend(tmp_path):
    root, store = tmp_path / 'images', tmp_path / 'store'
    build(store, images(root, *'bc'), 1)
    with pytest.raises(DataError, match=r'2 of the 4 images .* first is .*/a.png; add'):
        ViewStore(store).match(images(root, 'a', 'd'))


def test_more_views_need_all_images(tmp_path):
    root, store = tmp_path / 'images', tmp_path / 'store'
    build(store, images(root, *'abc'), 1)
    (root / 'b.png').unlink()
    plan = open_store(store, toy_manifest(), images(root), 2)
    with pytest.raises(
        DataError, match='has the image b.png, and the data set has not'
    ):
        plan.share(0, 1)


def test_one_of_two_equal_images_serves_both_rows(tmp_path):
    store = tmp_path / 'store'
    build(store, in_memory(4, 5, 4, 6), 1)
    fewer = in_memory(6, 4, 5)
    plan = open_store(store, toy_manifest(), fewer, 2)
    assert plan.indices.tolist() == [1, 2, 1, 0]
    assert places(plan.share(0, 1)) == [(1, 0, 4)]


def test_an_unfinished_build_takes_no_other_images(tmp_path):
    root, store = tmp_path / 'images', tmp_path / 'store'
    open_store(store, toy_manifest(), images(root, *'ab'), 1)
    with pytest.raises(
        DataError, match='being built of 2 images, but 1 of the data set'
    ):
        open_store(store, toy_manifest(), images(root, 'c'), 1)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(teacher='net#9'), "begun with teacher = 'net#1234', .* has 'net#9'"),
        (dict(seed=1), 'begun with seed = 0, but this call has 1'),
        (dict(embedding_dtype='int8'), "embedding_dtype = 'float16', .* has 'int8'"),
        (dict(shard_size=5), 'shard_size = 4, but this call has 5'),
        (dict(image_std=[1.0] * 3), 'begun with image_std'),
        (dict(pipeline=[]), 'begun with pipeline = None'),
    ],
)
def test_another_build_is_refused_by_name(tmp_path, change, message):
    dataset, store = images(tmp_path / 'images', *'ab'), tmp_path / 'store'
    build(store, dataset, 1)
    for look in (
        lambda wanted: open_store(store, wanted, dataset, 1),
        lambda wanted: look_at_store(store, wanted, dataset),
    ):
        with pytest.raises(ConfigError, match=message):
            look(replace(toy_manifest(), **change))


def test_a_torn_row_is_written_again(tmp_path):
    dataset, store = images(tmp_path / 'images', *'abcd'), tmp_path / 'store'
    plan = open_store(store, toy_manifest(), dataset, 1)
    (shard,) = plan.shards()
    with ShardWriter(store, shard, 'float16', 3) as writer:
        writer.append(np.arange(2), np.ones((2, 3), np.float32))
    with open(shard.part(store), 'ab') as file:
        file.write(b'\xff' * 7)
    with ShardWriter(store, shard, 'float16', 3) as writer:
        assert (writer.done, writer.missing) == (2, 2)
        writer.append(np.arange(2, 4), np.zeros((2, 3), np.float32))
    assert plan.seal()
    reader = ViewStore(store)
    assert [reader.read(0, row)[0] for row in range(4)] == [0, 1, 2, 3]
    facts = json.loads(shard.facts(store).read_text())
    assert facts['measured_rows'] == 2  # of this process


def test_a_full_part_that_was_not_renamed_is_finished(tmp_path):
    dataset, store = images(tmp_path / 'images', *'abcd'), tmp_path / 'store'
    plan = open_store(store, toy_manifest(), dataset, 1)
    (shard,) = plan.shards()
    fill(plan, [shard])
    shard.path(store).rename(shard.part(store))
    with ShardWriter(store, shard, 'float16', 3) as writer:
        assert writer.missing == 1
        writer.append(np.array([3]), np.ones((1, 3), np.float32))
    assert plan.seal()


def test_two_writers_of_a_shard_and_nan_are_refused(tmp_path):
    dataset, store = images(tmp_path / 'images', *'ab'), tmp_path / 'store'
    plan = open_store(store, toy_manifest(), dataset, 1)
    (shard,) = plan.shards()
    with ShardWriter(store, shard, 'float16', 3) as writer:
        with pytest.raises(DataError, match='Another process writes .*000000000.part'):
            ShardWriter(store, shard, 'float16', 3)
        with pytest.raises(DataError, match='NaN or infinity for view 0'):
            writer.append(np.zeros(1), np.array([[0, np.nan, 1]], np.float32))

"""Damaged and hostile stores of views: a correct result, or an mmlgd error."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmlgd.cli.build_stored_views import summarize_store
from mmlgd.errors import MMLGDError
from mmlgd.stores import Manifest, StoredTeacher, ViewStore
from tests.view_stores import write_toy_store

SHARD = 'views/001/000000004.records'
TABLE = 'images/000000004.records'
FIELDS = sorted(vars(Manifest(*[None] * 12)))

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**400])
    | st.floats()
    | st.text()
    | st.sampled_from(['../../x', '/etc/passwd', 'int8', 'net#', '\0', '\udcff']),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.fixture(scope='module')
def sound(tmp_path_factory):
    """A store of 2 views of 9 images, and what its rows are."""
    store = tmp_path_factory.mktemp('sound') / 'store'
    pixels, _ = write_toy_store(store, 2, [9])
    return store, pixels


@pytest.fixture(scope='module')
def copy(sound, tmp_path_factory):
    """A copy whose files are damaged one after the other, and restored."""
    path = tmp_path_factory.mktemp('copy') / 'store'
    shutil.copytree(sound[0], path)
    return path


def read_all(store):
    """Everything that training asks of a store."""
    StoredTeacher(store)
    opened = ViewStore(store)
    table = opened.table()
    return [
        (opened.read(view, row)[0], table.name(row))
        for view in range(opened.num_views)
        for row in range(opened.num_images)
    ]


def check(sound, copy, name, content):
    """With other bytes in one file: the rows as written, or an mmlgd error."""
    path = copy / name
    path.write_bytes(content)
    try:
        rows = read_all(copy)
        summarize_store(copy)
    except MMLGDError as error:
        str(error).encode()
        return None
    finally:
        shutil.copy(sound[0] / name, path)
    return rows


@given(st.binary(max_size=300))
def test_any_bytes_as_a_manifest(sound, copy, content):
    assert check(sound, copy, 'manifest.json', content) is None


@given(JSON)
def test_any_json_as_a_manifest(sound, copy, content):
    assert check(sound, copy, 'manifest.json', json.dumps(content).encode()) is None


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, min_size=1, max_size=2))
def test_any_values_of_a_manifest(sound, copy, changes):
    manifest = json.loads((sound[0] / 'manifest.json').read_text())
    content = json.dumps({**manifest, **changes}).encode()
    rows = check(sound, copy, 'manifest.json', content)
    if rows is not None:
        # In any case, the rows are those of the files.
        views = json.loads(content)['num_views']
        assert [one[0] for one in rows] == sound[1][:views].ravel().tolist()


@given(st.data(), st.sampled_from([SHARD, TABLE]))
def test_bytes_of_a_shard_that_are_flipped_cut_off_or_added(sound, copy, data, name):
    content = bytearray((sound[0] / name).read_bytes())
    place = st.integers(0, len(content) - 1)
    for index in data.draw(st.lists(place, max_size=4, unique=True)):
        content[index] ^= data.draw(st.integers(1, 255))
    content = bytes(content[: data.draw(st.none() | place)]) + data.draw(
        st.binary(max_size=9)
    )
    rows = check(sound, copy, name, content)
    # Any damage is found.
    assert (rows is not None) == (content == (sound[0] / name).read_bytes())


@given(st.binary(max_size=200), st.sampled_from([SHARD, TABLE]))
def test_any_bytes_as_a_shard(sound, copy, content, name):
    assert check(sound, copy, name, content) is None


@given(st.binary(max_size=200))
def test_any_content_of_a_table_with_a_right_checksum(sound, copy, content):
    (shard,) = (
        one for one in ViewStore(sound[0]).manifest.image_shards() if one.first == 4
    )
    rows = check(sound, copy, TABLE, shard.seal(4, content))
    assert rows is None or len(rows) == 18


@given(st.lists(st.binary(max_size=6), max_size=6))
def test_any_names_of_a_table(sound, copy, names):
    (shard,) = (
        one for one in ViewStore(sound[0]).manifest.image_shards() if one.first == 4
    )
    rows = check(sound, copy, TABLE, shard.seal(4, b'\0'.join(names) + bytes(4 * 16)))
    assert rows is None or len(rows) == 18

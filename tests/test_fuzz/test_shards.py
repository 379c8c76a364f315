"""Any bytes as a shard or an index: the right images, or an error of mmlgd."""

import io
import json
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mmlgd.datasets.shards import ShardIndex, build_index, open_storage
from mmlgd.datasets.shards.tar import list_members
from mmlgd.errors import MMLGDError
from tests.shards import write_shards, write_tar

NAME = st.text(st.characters(codec='utf-8', exclude_characters='\0'), min_size=1)
EDITS = st.lists(st.tuples(st.integers(0, 2**14), st.binary(min_size=1, max_size=24)))
FORMS = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


def edited(content: bytes, edits) -> bytes:
    for place, new in edits:
        place %= len(content)
        content = content[:place] + new + content[place + len(new) :]
    return content


@given(st.lists(st.tuples(NAME, st.binary(max_size=1500)), max_size=5), FORMS)
def test_members_are_those_of_tarfile(members, form):
    members = [(name, content) for name, content in members if name.strip('/')]
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = write_tar(Path(folder) / 'a.tar', members, form)
        except (ValueError, UnicodeError):
            return  # a name that this format cannot hold
        content = path.read_bytes()
        with tarfile.open(path) as tar:
            wanted = [(m.name, m.offset_data, m.size) for m in tar if m.isreg()]
    found = list_members(lambda start, end: content[start:end], len(content), 'a.tar')
    assert [tuple(one) for one in found] == wanted


@given(EDITS, st.integers(0, 20000), FORMS)
def test_a_damaged_shard_gives_members_inside_it_or_an_error(edits, kept, form):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w', format=form) as tar:
        for name in ('a.png', 'd' * 120 + '/' + 'b' * 80 + '.png', 'ü.png'):
            info = tarfile.TarInfo(name)
            info.size = 700
            tar.addfile(info, io.BytesIO(b'x' * 700))
    content = edited(buffer.getvalue(), edits)[:kept]
    reads = []

    def read(start, end):
        reads.append(end - start)
        return content[start:end]

    try:
        for member in list_members(read, len(content), 'a.tar'):
            assert 512 <= member.offset <= member.offset + member.size <= len(content)
    except MMLGDError as error:
        assert 'a.tar' in str(error)
    # Never more than the file has, and no loop.
    assert sum(reads) <= len(content) + 512


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
KEYS = st.sampled_from(['format', 'version', 'extensions', 'name_bytes', 'shards', 'x'])


@given(
    st.dictionaries(KEYS, JSON), st.sampled_from(['entries.bin', 'names.bin']), EDITS
)
def test_a_damaged_index_gives_entries_inside_the_shards_or_an_error(
    fields, file, edits
):
    with tempfile.TemporaryDirectory() as folder:
        (shard,) = write_shards(Path(folder), [3])
        index = build_index(open_storage(folder), [shard.name], ['.png'], f'{folder}/i')
        path = index.path / 'index.json'
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
        target = index.path / file
        content = target.read_bytes()
        target.write_bytes(edited(content, edits)[: len(content)])
        try:
            opened = ShardIndex(index.path)
            size = shard.stat().st_size
            for number in range(len(opened)):
                entry = opened[number]
                assert 512 <= entry.offset <= entry.offset + entry.size <= size
        except MMLGDError as error:
            assert 'index' in str(error)

import numpy as np
import pytest

from mmlgd.datasets.image_list import ListedImage
from mmlgd.errors import DataError
from mmlgd.stores.images import ImageTable
from mmlgd.stores.shards import Shard
from mmlgd.utils.atomic import write_atomically
from tests.view_stores import toy_table

#: Of the two images below.
SHARD = Shard(None, 0, 2)
HASHES = np.frombuffer(b'x' * 16 + b'y' * 16, np.uint8).reshape(2, 16)


def test_files_give_back_the_table(tmp_path):
    names = ['a/1.png', 'ü.png', '\udcff.png', 'b']
    hashes = np.concatenate([HASHES, HASHES])
    shards = [SHARD, Shard(None, 2, 2)]
    for shard, first in zip(shards, (0, 2)):
        part = [ListedImage(name, '').key() for name in names[first : first + 2]]
        ImageTable(part, HASHES).write(tmp_path, shard)
    found = ImageTable.read(tmp_path, shards)
    assert found.names == [b'a/1.png', b'\xc3\xbc.png', b'\xff.png', b'b']
    assert np.array_equal(found.hashes, hashes)
    # For people: the byte that no encoding has.
    shown = [found.name(row) for row in range(4)]
    assert shown == ['a/1.png', 'ü.png', '\\xff.png', 'b']


def test_missing_and_short_tables_are_refused(tmp_path):
    with pytest.raises(
        DataError, match='images/000000000.records cannot be read .No su'
    ):
        ImageTable.read(tmp_path, [SHARD])
    path = SHARD.path(tmp_path)
    toy_table(0, 3).write(tmp_path, SHARD)
    with pytest.raises(DataError, match='000000000.records does not have 2 names'):
        ImageTable.read(tmp_path, [SHARD])
    for names in (b'a\0', b'a\0b', b'a\0b\0c\0'):
        write_atomically(path, SHARD.seal(0, names + HASHES.tobytes()))
        with pytest.raises(DataError, match='does not have 2 names'):
            ImageTable.read(tmp_path, [SHARD])


def test_a_damaged_table_is_refused(tmp_path):
    path = SHARD.path(tmp_path)
    toy_table(0, 2).write(tmp_path, SHARD)
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 4
        for spoiled in (changed, content[:place]):
            path.write_bytes(spoiled)
            with pytest.raises(DataError, match='000.records has a wrong checksum'):
                ImageTable.read(tmp_path, [SHARD])

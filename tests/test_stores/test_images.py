import hashlib

import numpy as np
import pytest

from mmlgd.errors import DataError
from mmlgd.stores.images import ImageTable, content_hash, encode_name
from mmlgd.stores.shards import Shard, write_shard
from tests.view_stores import toy_table

#: Of the two images below.
SHARD = Shard(None, 0, 2)
HASHES = np.frombuffer(b'x' * 16 + b'y' * 16, np.uint8).reshape(2, 16)


def test_files_give_back_the_table(tmp_path):
    names = ['a/1.png', 'ü.png', '\udcff.png', '']
    hashes = np.concatenate([HASHES, HASHES])
    shards = [SHARD, Shard(None, 2, 2)]
    for shard, first in zip(shards, (0, 2)):
        part = [encode_name(name) for name in names[first : first + 2]]
        ImageTable(part, HASHES).write(shard.path(tmp_path))
    found = ImageTable.read(tmp_path, shards)
    assert found.names == [b'a/1.png', b'\xc3\xbc.png', b'\xff.png', b'']
    assert np.array_equal(found.hashes, hashes)
    # For people: the byte that no encoding has, and the number of a nameless image.
    shown = [found.name(row) for row in range(4)]
    assert shown == ['a/1.png', 'ü.png', '\\xff.png', 'image 3']


def test_an_image_is_known_by_its_name_or_else_by_its_content():
    table = ImageTable([b'n', b'n', b'', b''], np.concatenate([HASHES, HASHES]))
    assert table.identifiers() == [b'n', b'n', b'\0' + b'x' * 16, b'\0' + b'y' * 16]


def test_missing_and_short_tables_are_refused(tmp_path):
    with pytest.raises(DataError, match='images/000000000.safetensors is missing'):
        ImageTable.read(tmp_path, [SHARD])
    path = SHARD.path(tmp_path)
    toy_table(0, 3).write(path)
    with pytest.raises(DataError, match=r'no hashes of type uint8, shape \[2, 16\]'):
        ImageTable.read(tmp_path, [SHARD])
    for names in (b'a\0', b'a\0b', b'a\0b\0c\0'):
        columns = dict(names=np.frombuffer(names, np.uint8), hashes=HASHES)
        write_shard(path, columns)
        with pytest.raises(DataError, match='does not have 2 names'):
            ImageTable.read(tmp_path, [SHARD])


def test_hash_depends_on_shape_and_dtype(tmp_path):
    pixels = np.arange(6, dtype=np.uint8)
    arrays = [pixels, pixels.reshape(2, 3), pixels.reshape(3, 2), pixels.view(np.int8)]
    assert len({content_hash(one) for one in arrays}) == 4
    (tmp_path / 'f').write_bytes(bytes(pixels))
    expected = hashlib.blake2b(bytes(pixels), digest_size=16).digest()
    assert content_hash(str(tmp_path / 'f')) == expected
    with pytest.raises(DataError, match="none' cannot be read"):
        content_hash(str(tmp_path / 'none'))

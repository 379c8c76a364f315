import hashlib

import numpy as np
import pytest

from mmlgd.datasets.view_store.image_keys import content_hash, find_keys
from mmlgd.datasets.view_store.image_table import ImageTable
from mmlgd.errors import DataError
from tests.view_stores import toy_table


def test_files_give_back_the_table(tmp_path):
    table = ImageTable.of(['a/1.png', 'ü.png'], [5, 7], [b'x' * 16, b'y' * 16])
    table.write(tmp_path)
    found = ImageTable.read(tmp_path, 2)
    assert [found.name(row) for row in (0, 1)] == ['a/1.png', 'ü.png']
    assert found.sizes.tolist() == [5, 7]
    assert [bytes(row) for row in found.hashes] == [b'x' * 16, b'y' * 16]
    assert found.digest() == table.digest()
    # Mapped: a process does not hold the paths of a million images.
    assert isinstance(found.names, np.memmap)


def test_images_that_come_later_follow():
    table = toy_table(2).followed_by(
        ImageTable.of(['b', ''], [9, 9], [b'x' * 16, b'y' * 16])
    )
    names = [table.name(row) for row in range(4)]
    assert names == ['a0', 'a1', 'b', 'image 3']
    assert table.digest() != toy_table(4).digest()


def test_key_is_of_the_name_or_else_of_the_content():
    one = ImageTable.of(['n', 'n', '', ''], [1] * 4, [b'x' * 16, b'y' * 16] * 2).keys
    assert one[0] == one[1] != one[2] != one[3]
    expected = hashlib.blake2b(b'n', digest_size=8).digest()
    assert int(one[0]) == int.from_bytes(expected, 'little')


def test_absent_and_short_tables_are_refused(tmp_path):
    with pytest.raises(DataError, match='000000003 of the store cannot be read'):
        ImageTable.read(tmp_path, 3)
    toy_table(3).write(tmp_path)
    np.save(tmp_path / 'images/000000003/sizes.npy', np.zeros(2, np.int64))
    with pytest.raises(DataError, match='has not 3 rows'):
        ImageTable.read(tmp_path, 3)


def test_find_keys_against_a_search_in_a_list():
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 30, 40).astype(np.uint64)
    wanted = rng.integers(0, 40, 50).astype(np.uint64)
    listed = keys.tolist()
    expected = [listed.index(one) if one in listed else -1 for one in wanted.tolist()]
    assert find_keys(wanted, keys).tolist() == expected
    assert find_keys(wanted, keys[:0]).tolist() == [-1] * 50


def test_hash_tells_shapes_and_types_of_pixels(tmp_path):
    pixels = np.arange(6, dtype=np.uint8)
    arrays = [pixels, pixels.reshape(2, 3), pixels.reshape(3, 2), pixels.view(np.int8)]
    assert len({content_hash(one)[1] for one in arrays}) == 4
    (tmp_path / 'f').write_bytes(bytes(pixels))
    size, digest = content_hash(str(tmp_path / 'f'))
    assert (size, digest) == (
        6,
        hashlib.blake2b(bytes(pixels), digest_size=16).digest(),
    )
    with pytest.raises(DataError, match='none cannot be read'):
        content_hash(str(tmp_path / 'none'))

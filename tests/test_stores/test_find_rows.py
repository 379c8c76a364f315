"""Images of a dataset that a store contains, and images that have changed."""

import numpy as np
import pytest

from mmlgd.datasets import UnlabeledImages
from mmlgd.datasets.image_list import list_images_of
from mmlgd.errors import DataError
from mmlgd.stores import images
from mmlgd.stores.images import ImageTable
from tests.view_stores import in_memory


def folder(root, names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(f'pixels of {name}'.encode())
    return UnlabeledImages(data_root=str(root))


def table_of(dataset):
    listed = list(list_images_of(dataset))
    hashes = [np.frombuffer(one.content_hash(), np.uint8) for one in listed]
    return ImageTable([one.key() for one in listed], np.array(hashes))


def rows(table, dataset):
    return table.match(dataset, 'store')[0].tolist()


NAMES = ['a/1.png', 'b/0.png', 'b/2.png', 'c.png']


def test_files_are_known_by_name_wherever_the_folder_lies(tmp_path):
    table = table_of(folder(tmp_path / 'here', NAMES))
    assert rows(table, folder(tmp_path / 'moved', NAMES)) == [0, 1, 2, 3]
    more = folder(tmp_path / 'more', [*NAMES, 'a/0.png', 'b/1.png'])
    assert rows(table, more) == [-1, 0, 1, -1, 2, 3]
    assert rows(table, folder(tmp_path / 'fewer', NAMES[2:])) == [2, 3]


def test_images_in_memory_are_known_by_pixels():
    table = table_of(in_memory(4, 5, 6))
    assert rows(table, in_memory(6, 7, 4)) == [2, -1, 0]


def test_equal_images_keep_their_rows_in_the_same_order():
    table = table_of(in_memory(4, 5, 4))
    assert rows(table, in_memory(4, 5, 4)) == [0, 1, 2]
    assert rows(table, in_memory(5, 4)) == [1, 0]


def test_the_image_of_each_row_is_found_too():
    table = table_of(in_memory(4, 5, 4, 6))
    assert table.match(in_memory(6, 7, 4), 'store')[1].tolist() == [2, -1, 2, 0]
    assert table.match(in_memory(4, 5, 4, 6), 'store')[1].tolist() == [0, 1, 2, 3]


def test_a_file_of_another_size_is_named(tmp_path):
    dataset = folder(tmp_path, NAMES)
    table = table_of(dataset)
    (tmp_path / 'b/2.png').write_bytes(b'short')
    message = 'b/2.png is not what .* store saw: its content differs'
    with pytest.raises(DataError, match=message):
        rows(table, dataset)


def test_a_file_that_is_gone_is_named(tmp_path):
    dataset = folder(tmp_path, NAMES)
    table = table_of(dataset)
    (tmp_path / 'c.png').unlink()
    with pytest.raises(DataError, match="c.png' cannot be read: .*No such file"):
        rows(table, dataset)


def test_other_content_of_the_same_size_is_found_among_a_sample(tmp_path, monkeypatch):
    dataset = folder(tmp_path, NAMES)
    table = table_of(dataset)
    (tmp_path / 'b/2.png').write_bytes(b'PIXELS OF b/2.png')
    with pytest.raises(DataError, match='b/2.png is not what .*: its content differs'):
        rows(table, dataset)
    # A sample of two of the four: the first and the third, where nothing changed.
    monkeypatch.setattr(images, 'HASHED_SAMPLE', 2)
    (tmp_path / 'b/2.png').write_bytes(b'pixels of b/2.png')
    (tmp_path / 'b/0.png').write_bytes(b'PIXELS OF b/0.png')
    assert rows(table, dataset) == [0, 1, 2, 3]

"""A store of mmlgd 0.1.0 is refused, and can be converted."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from mmlgd.datasets import UnlabeledImages
from mmlgd.errors import DataError
from mmlgd.stores import ViewStore
from mmlgd.stores.build import open_store
from tests.view_stores import toy_manifest

# Two views of five images, then of two more, in shards of four rows, int8.
STORE = Path(__file__).parents[1] / 'data/stored_views_0_1_0'
TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/convert_stored_views.py'


@pytest.fixture
def store(tmp_path):
    return shutil.copytree(STORE, tmp_path / 'store')


def convert(store):
    spec = importlib.util.spec_from_file_location('convert_stored_views', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main([str(store)])


def images(root):
    root.mkdir()
    for name in 'abcdfhj':
        (root / f'{name}.png').write_bytes(f'pixels of {name}'.encode())
    return UnlabeledImages(data_root=str(root))


def test_a_store_of_0_1_0_is_refused_with_the_command_that_converts_it(store):
    message = rf"format_version': 1.*/convert_stored_views.py {store}`"
    with pytest.raises(DataError, match=message):
        ViewStore(store)


def test_a_converted_store_has_the_same_rows_and_images(store, tmp_path):
    convert(store)
    opened, dataset = ViewStore(store), images(tmp_path / 'images')
    assert (opened.num_views, opened.num_images) == (2, 7)
    for view in range(2):
        for row in range(7):
            # What was stored: numbers that follow from view and row.
            pixels = 1000 * view + row
            wanted = [pixels % 7 + 1, -(pixels % 5) - 1, pixels % 3]
            found, embedding = opened.read(view, row)
            assert found == pixels
            assert np.abs(embedding - wanted).max() <= max(np.abs(wanted)) / 254 + 1e-6
    # b, d, f, h and j were first, then a and c.
    assert opened.match(dataset).tolist() == [5, 0, 6, 1, 2, 3, 4]
    assert not [path for path in store.rglob('*') if path.suffix in ('.bin', '.npy')]
    # It can be extended.
    wanted = toy_manifest(embedding_dtype='int8', teacher='net#1234')
    assert len(open_store(store, wanted, dataset, 3).share(0, 1)) == 3


def test_a_conversion_resumes_and_names_what_is_broken(store):
    path = store / 'views/001/000000000.bin'
    content = path.read_bytes()
    for spoiled in (content[:-1], content[:-1] + b'x', content + content):
        path.write_bytes(spoiled)
        with pytest.raises(DataError, match='001/000000000.bin cannot be converted'):
            convert(store)
        with pytest.raises(DataError, match='format_version'):
            ViewStore(store)
    path.write_bytes(content)
    convert(store)
    assert ViewStore(store).num_views == 2
    with pytest.raises(DataError, match='format_version 2; only 1'):
        convert(store)

"""Faults found by --verify, and stores that a build refuses to extend."""

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mmlgd.apis.stored_views import prepare_views
from mmlgd.datasets.shards.storage import LocalStorage
from mmlgd.errors import DataError
from mmlgd.stores import Manifest
from mmlgd.stores.build import open_store
from mmlgd.stores.shards import ShardReader, write_rows
from mmlgd.stores.verify import check_replay, store_faults
from tests.runs import toy_run_cfg, write_images
from tests.stored_runs import write_store

ALL = 32  # Two views of 16 images.


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path)
    write_store(toy_run_cfg(tmp_path, tmp_path / 'online'), tmp_path / 'store')
    return tmp_path


def source(root, teacher_seed=0, **crop):
    init_default_scope('mmlgd')
    cfg = toy_run_cfg(root, root / 'run')
    cfg.model.teacher.seed = teacher_seed
    cfg.train_dataloader.dataset.dataset.pipeline[1].update(crop)
    return prepare_views(cfg, 'float16', 5, 'cpu')


def opened(root, views, number):
    return open_store(root / 'store', views.manifest, views.dataset, number)


def faults(root, sample=ALL, **changes):
    return store_faults(root / 'store', source(root, **changes), sample)


def shard(root, view=1, first=5):
    return root / f'store/views/{view:03}/{first:09}.records'


def change_row(root, row, field, value):
    """Change a stored row, and let the shard's checksum agree."""
    manifest = Manifest.read(root / 'store')
    (place,) = (one for one in manifest.view_shards() if one[:2] == (1, 5))
    storage = LocalStorage(str(root / 'store'))
    reader = ShardReader(storage, place, manifest.row_type)
    rows = np.array([reader.row(index) for index in range(5)])
    rows[field][row] = value
    write_rows(root / 'store', place, rows)


@pytest.mark.slow
def test_a_whole_store_has_no_faults(root):
    assert faults(root) == []
    assert faults(root, sample=3) == []
    assert faults(root, sample=10**6) == []
    check_replay(opened(root, source(root), 4), source(root))


def test_flipped_bits_and_truncated_or_missing_shards_are_found(root):
    content = bytearray(shard(root).read_bytes())
    content[-1] ^= 1
    shard(root).write_bytes(content)
    short = shard(root, 0, 0)
    short.write_bytes(short.read_bytes()[:-2])
    shard(root, 0, 10).unlink()
    shard(root, 1, 10).write_bytes(b'{"sha')
    table = root / 'store/images/000000015.records'
    table.unlink()
    found = faults(root)
    assert [' '.join(text.split('store/')[1].split()[:3]) for text in found] == [
        'images/000000015.records cannot be',
        'views/000/000000000.records has 198',
        'views/000/000000010.records is missing;',
        'views/001/000000005.records has a',
        'views/001/000000010.records has 5',
    ]


def test_rows_that_are_wrong_within_a_sound_shard(root):
    change_row(root, 2, 'pixels', 12345)
    change_row(root, 3, 'embedding', np.eye(16)[0])
    pixels, embedding = faults(root)
    assert pixels == 'View 1 of 007.png (row 7) has other pixels than are stored.'
    assert embedding.startswith('View 1 of 008.png (row 8) has another embedding')


def test_a_changed_image_is_named_once_by_content_and_once_a_view_by_pixels(root):
    path = root / 'train/003.png'
    size = path.stat().st_size
    cv2.imwrite(str(path), np.zeros((20, 24, 3), np.uint8))
    (found,) = faults(root)
    assert '003.png is not what the teacher' in found
    path.write_bytes(path.read_bytes() + bytes(size - path.stat().st_size))
    (found,) = faults(root)
    assert '003.png is not what the teacher' in found and 'content differs' in found


def test_changed_transforms_and_teachers_are_named(root):
    (found,) = faults(root, crop_ratio_range=(0.5, 1.0))
    assert 'RandomResizedCrop.crop_ratio_range = [0.3, 1.0]' in found
    (found,) = faults(root, teacher_seed=1)
    assert 'begun with teacher = ' in found


def test_a_changed_image_table_is_found(root):
    path = root / 'store/images/000000005.records'
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    (found,) = faults(root)
    assert found.startswith(f'The shard {path} has a wrong checksum')


def test_a_store_is_not_extended_if_pixels_differ(root, monkeypatch):
    # What the description of the transforms cannot show: another cv2.
    resize = cv2.resize
    monkeypatch.setattr(
        cv2, 'resize', lambda *args, **kwargs: resize(*args, **kwargs) ^ 1
    )
    views = source(root)
    plan = opened(root, views, 3)
    with pytest.raises(DataError, match='cannot be added to: View .* has other pixels'):
        check_replay(plan, views)

"""What --verify finds, and what a build refuses to add to."""

import json

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mmlgd.apis.plan_views import prepare_views
from mmlgd.apis.verify_views import check_replay, store_faults
from mmlgd.datasets.view_store.manifest import Manifest
from mmlgd.datasets.view_store.writer import file_sha256
from mmlgd.errors import DataError
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


def faults(root, sample=ALL, **changes):
    return store_faults(root / 'store', source(root, **changes), sample)


def shard(root, view=1, first=5):
    return root / f'store/views/{view:03}/{first:09}.bin'


def change_row(root, row, field, value):
    """Change a stored row, and let the shard's checksum agree."""
    path = shard(root)
    rows = np.fromfile(path, Manifest.read(root / 'store').row_dtype)
    rows[field][row] = value
    rows.tofile(path)
    facts = json.loads(path.with_suffix('.json').read_text())
    facts['sha256'] = file_sha256(path)
    path.with_suffix('.json').write_text(json.dumps(facts))


def test_a_whole_store_has_no_faults(root):
    assert faults(root) == []
    assert faults(root, sample=3) == []
    assert faults(root, sample=10**6) == []
    check_replay(source(root).open_store(root / 'store', 4), source(root))


def test_a_flipped_bit_a_short_and_a_missing_shard(root):
    content = bytearray(shard(root).read_bytes())
    content[-1] ^= 1
    shard(root).write_bytes(content)
    short = shard(root, 0, 0)
    short.write_bytes(short.read_bytes()[:-2])
    shard(root, 0, 10).unlink()
    shard(root, 1, 10).with_suffix('.json').write_text('{"sha')
    found = faults(root)
    assert [text.split('/')[-2:] for text in found] == [
        ['000', f'000000000.bin has {5 * 36 - 2} bytes: it is truncated.'],
        ['000', '000000010.bin is missing.'],
        ['001', '000000005.bin has not the checksum of its 000000005.json.'],
        ['001', '000000010.bin has not the checksum of its 000000010.json.'],
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
    path = root / 'store/images/000000016/hashes.npy'
    table = np.load(path)
    table[5] = 0
    np.save(path, table)
    first, second = faults(root)
    assert first.startswith('The image table') and 'checksum of the manifest' in first
    assert '005.png is not what' in second


def test_nothing_is_added_where_a_library_makes_other_pixels(root, monkeypatch):
    # What the description of the transforms cannot show: another cv2.
    resize = cv2.resize
    monkeypatch.setattr(
        cv2, 'resize', lambda *args, **kwargs: resize(*args, **kwargs) ^ 1
    )
    views = source(root)
    plan = views.open_store(root / 'store', 3)
    with pytest.raises(DataError, match='cannot be added to: View .* has other pixels'):
        check_replay(plan, views)

"""The embedded subset of Fashion-MNIST, its unpacking and its creation."""

import gzip
import json
import struct
from urllib.error import URLError

import numpy as np
import pytest
from mmpretrain.datasets import FashionMNIST

from demo import fashion_mnist as fm
from demo import make_demo_data
from mmlgd.errors import ConfigError, DataError


@pytest.fixture(scope='module')
def demo_data(tmp_path_factory):
    return fm.prepare_demo_data(tmp_path_factory.mktemp('data') / 'new' / 'folder')


def test_sets_are_balanced(demo_data):
    for split, per_class in (('train', 800), ('test', 200)):
        images, labels = fm.read_split(demo_data, split)
        assert images.shape == (10 * per_class, 28, 28)
        assert np.bincount(labels).tolist() == [per_class] * 10


def test_repository_carries_at_most_five_megabytes():
    assert sum(path.stat().st_size for path in fm.DEMO_SOURCE.iterdir()) < 5e6


@pytest.mark.filterwarnings('ignore:The given NumPy array is not writable')
def test_mmpretrain_reads_the_same_images(demo_data):
    for split, count in (('train', 8000), ('test', 2000)):
        dataset = FashionMNIST(
            str(demo_data), split=split, test_mode=split == 'test', download=False
        )
        images, labels = fm.read_split(demo_data, split)
        assert len(dataset) == count
        for index in (0, 1, 777, 1999):
            sample = dataset.get_data_info(index)
            assert np.array_equal(sample['img'], images[index])
            assert sample['gt_label'] == labels[index]


def test_images_are_not_transposed(demo_data):
    """Trousers are taller than wide, and boots wider at the sole."""
    images, labels = fm.read_split(demo_data, 'train')
    trouser = images[labels == 1].astype(float).mean(0)
    boot = images[labels == 9].astype(float).mean(0)

    rows, columns = (trouser.sum(axis) > 400 for axis in (1, 0))
    assert rows.sum() > 1.5 * columns.sum()
    assert boot[20:].sum() > boot[:8].sum()


def test_full_set_that_cannot_be_downloaded(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise URLError('name not known')

    monkeypatch.setattr('urllib.request.urlopen', refuse)
    with pytest.raises(DataError, match='name not known.*install.*train-images'):
        fm.prepare_full_data(tmp_path / 'full', source_dir=tmp_path / 'absent')


def test_intact_files_are_kept_and_damaged_ones_replaced(tmp_path):
    fm.prepare_demo_data(tmp_path)
    whole, damaged = (tmp_path / name for name in fm.SPLIT_FILES['test'])
    before = whole.stat().st_mtime_ns
    damaged.write_bytes(damaged.read_bytes()[:-1])

    fm.prepare_demo_data(tmp_path)

    assert whole.stat().st_mtime_ns == before
    assert len(fm.read_split(tmp_path, 'test')[1]) == 2000
    assert len(list(tmp_path.iterdir())) == 4


def test_missing_demo_data_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(fm, 'DEMO_SOURCE', tmp_path)
    with pytest.raises(DataError, match=r'manifest\.json not found.*clone'):
        fm.prepare_demo_data(tmp_path / 'out')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, 'not found'),
        (gzip.compress(b'abc', mtime=0)[:-3], 'cannot be unpacked'),
        (b'plain text', 'cannot be unpacked'),
        (gzip.compress(b'other', mtime=0), 'does not hold the expected labels'),
    ],
)
def test_bad_source_leaves_no_file(tmp_path, content, message):
    if content is not None:
        (tmp_path / 'labels.gz').write_bytes(content)

    with pytest.raises(DataError, match=message):
        fm.unpack_idx_files(tmp_path, tmp_path / 'out', dict(labels='0' * 64))

    assert not list(tmp_path.glob('out/*'))


def test_read_idx_by_hand():
    content = struct.pack('>4B2I6B', 0, 0, 8, 2, 2, 3, 1, 2, 3, 4, 5, 6)

    assert fm.read_idx(content).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    'content',
    [
        b'',
        gzip.compress(b'still packed', mtime=0),
        struct.pack('>4B', 0, 0, 8, 2),
        struct.pack('>4BI2B', 0, 0, 8, 1, 3, 1, 2),
        struct.pack('>4BI4B', 0, 0, 8, 1, 3, 1, 2, 3, 4),
    ],
)
def test_read_idx_refuses_other_bytes(content):
    with pytest.raises(DataError, match='idx file'):
        fm.read_idx(content)


@pytest.fixture
def small_full_set(tmp_path):
    """Sixty images whose pixels equal their position; labels 0 to 2 in turn."""
    positions = np.arange(60, dtype=np.uint8)
    images = np.repeat(positions, 28 * 28).tobytes()
    for image_name, label_name in fm.SPLIT_FILES.values():
        header = struct.pack('>4B3I', 0, 0, 8, 3, 60, 28, 28)
        (tmp_path / image_name).write_bytes(header + images)
        header = struct.pack('>4BI', 0, 0, 8, 1, 60)
        (tmp_path / label_name).write_bytes(header + (positions % 3).tobytes())
    return tmp_path


def test_subset_is_balanced_seeded_and_in_order(small_full_set):
    counts = dict(train=4, test=2)
    outs = [small_full_set / name for name in ('a', 'b')]
    for out in outs:
        manifest = make_demo_data.write_subset(small_full_set, out, counts, seed=3)
    again = fm.unpack_idx_files(outs[0], outs[0], manifest['sha256'])
    images, labels = fm.read_split(again, 'train')

    assert np.bincount(labels).tolist() == [4, 4, 4]
    assert images[:, 5, 6].tolist() == manifest['indices']['train']
    assert manifest['indices']['train'] == sorted(manifest['indices']['train'])
    assert (labels == images[:, 0, 0] % 3).all()
    for path in outs[1].iterdir():
        assert path.read_bytes() == (outs[0] / path.name).read_bytes()
    other = make_demo_data.write_subset(small_full_set, outs[1], counts, seed=4)
    assert other['indices'] != manifest['indices']


def test_too_many_images_requested():
    with pytest.raises(ConfigError, match='class 1 has 1 images, but 2 were requested'):
        make_demo_data.balanced_indices(np.array([0, 0, 1]), 2, seed=0)


def test_manifest_describes_the_carried_files(demo_data):
    manifest = json.loads((fm.DEMO_SOURCE / 'manifest.json').read_text())

    assert manifest['seed'] == 0
    assert len(set(manifest['indices']['train'])) == 8000
    assert max(manifest['indices']['test']) < 10_000
    assert set(manifest['sha256']) == {path.name for path in demo_data.iterdir()}

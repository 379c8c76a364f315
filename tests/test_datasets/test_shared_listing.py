"""The list of a folder's images is kept, checked, and read by the other ranks."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from mmlgd.datasets import SeededViews, UnlabeledImages, UnlabeledShards
from mmlgd.datasets import folder_manifest as manifests
from mmlgd.datasets.image_list import list_image, list_images_of
from mmlgd.datasets.image_names import ImageNames
from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.loaders import keep_image_lists
from tests.shards import write_shards
from tests.two_ranks import run_on_two_ranks

NAMES = ['a/1.jpg', 'a/b/2.png', 'c.jpg']


@pytest.fixture
def root(tmp_path, monkeypatch):
    # Folders that were just made would be listed again.
    monkeypatch.setattr(manifests, '_SETTLED', 0)
    touch(tmp_path / 'images', *NAMES, 'a/readme.txt', '.hidden/x.jpg')
    return tmp_path / 'images'


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmlgd.datasets.shared_listing.print_log',
        lambda text, **kwargs: lines.append(text),
    )
    return lines


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names_of(root, **options):
    dataset = UnlabeledImages(
        str(root), cache_dir=str(root.parent / 'cache'), **options
    )
    paths = [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]
    return [os.path.relpath(path, root) for path in paths]


def test_an_unchanged_folder_is_not_listed_again(root, log, monkeypatch):
    assert names_of(root) == NAMES
    assert 'is listed' in log[-1] and 'there is none' in log[-1]

    def refuse(path):
        raise AssertionError('listed again')

    monkeypatch.setattr(os, 'scandir', refuse)
    assert names_of(root) == NAMES
    assert '3 images, as listed in' in log[-1]
    # Each choice of extensions has its own list.
    with pytest.raises(AssertionError, match='listed again'):
        names_of(root, extensions=['.png'])


def add(root):
    touch(root, 'a/b/0.jpg')
    return ['a/1.jpg', 'a/b/0.jpg', 'a/b/2.png', 'c.jpg']


def remove(root):
    (root / 'c.jpg').unlink()
    return ['a/1.jpg', 'a/b/2.png']


def rename(root):
    (root / 'a/1.jpg').rename(root / 'a/z.jpg')
    return ['a/b/2.png', 'a/z.jpg', 'c.jpg']


def add_folder(root):
    touch(root, 'a/d/e/3.jpg')
    return ['a/1.jpg', 'a/b/2.png', 'a/d/e/3.jpg', 'c.jpg']


def remove_folder(root):
    (root / 'a/b/2.png').unlink()
    (root / 'a/b').rmdir()
    return ['a/1.jpg', 'c.jpg']


def replace_with_the_old_time(root):
    status = os.stat(root / 'a')
    names = rename(root)
    os.utime(root / 'a', ns=(status.st_atime_ns, status.st_mtime_ns))
    return names


CHANGES = [
    *(add, remove, rename, add_folder, remove_folder),
    replace_with_the_old_time,
]


@pytest.mark.parametrize('change', CHANGES)
def test_a_changed_folder_is_listed_again(root, log, change):
    names_of(root)
    expected = change(root)
    assert names_of(root) == expected
    assert 'is listed' in log[-1] and 'the folder' in log[-1]
    assert names_of(root) == expected
    assert 'as listed in' in log[-1]


def test_a_folder_that_just_changed_is_not_trusted(root, log, monkeypatch):
    # A later image might have the same time where times are coarse.
    monkeypatch.setattr(manifests, '_SETTLED', 2 * 10**9)
    for _ in range(2):
        assert names_of(root) == NAMES
        assert 'is listed' in log[-1]


def damage(path, kind):
    content = path.read_bytes()
    head, _, rest = content.partition(b'\n')
    fields = json.loads(head)
    if kind == 'flipped':
        content = content[:-30] + bytes([content[-30] ^ 1]) + content[-29:]
    elif kind == 'truncated':
        content = content[:-1]
    elif kind == 'empty':
        content = b''
    elif kind == 'pickle':
        content = pickle.dumps(NAMES)
    elif kind == 'other version':
        content = json.dumps(dict(fields, version=2)).encode() + b'\n' + rest
    elif kind == 'wrong sizes':
        content = json.dumps(dict(fields, image_bytes=10**30)).encode() + b'\n' + rest
    elif kind == 'infinite':
        content = json.dumps(dict(fields, images=float('inf'))).encode() + b'\n' + rest
    elif kind == 'extensions':
        content = json.dumps(dict(fields, extensions=3)).encode() + b'\n' + rest
    path.write_bytes(content)


KINDS = ['flipped', 'truncated', 'empty', 'pickle', 'other version', 'wrong sizes']


@pytest.mark.parametrize('kind', [*KINDS, 'infinite', 'extensions'])
def test_a_damaged_list_is_replaced(root, log, kind):
    names_of(root)
    (path,) = (root.parent / 'cache').iterdir()
    whole = path.read_bytes()
    damage(path, kind)
    assert names_of(root) == NAMES
    assert 'is not a list of images' in log[-1]
    assert path.read_bytes() == whole


def test_skipped_images_are_reported_at_each_start(root, monkeypatch, log):
    lines = []
    monkeypatch.setattr(
        'mmlgd.datasets.image_folder.print_log', lambda text, **_: lines.append(text)
    )
    names_of(root)
    names_of(root)
    assert len(lines) == 2 and lines[0] == lines[1]
    assert 'skipped 1 hidden images' in lines[0]


def test_without_a_place_to_write_the_folder_is_listed(root, log):
    (root.parent / 'cache').touch()
    assert names_of(root) == NAMES
    assert 'cannot be written' in log[-1] and 'cache_dir' in log[-1]


def test_a_folder_that_is_gone_is_named(root):
    names_of(root)
    root.rename(root.with_name('elsewhere'))
    with pytest.raises(DataError, match='does not exist'):
        names_of(root)


def test_a_list_needs_one_rank_that_lists(root):
    with pytest.raises(ConfigError, match='cache_dir needs a local folder'):
        names_of(root, share_listing=False)


def on_rank(rank, folder, places):
    manifests._SETTLED = 0
    scanned = []
    scandir = os.scandir

    def scan(path):
        scanned.append(path)
        return scandir(path)

    os.scandir = scan
    found = []
    for place in places:
        scanned.clear()
        # A place of which `{}` is the rank is not shared.
        dataset = UnlabeledImages(folder, cache_dir=place.format(rank))
        paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
        found.append(dict(paths=paths, scanned=len(scanned)))
    return found


@pytest.mark.slow
def test_one_rank_lists_and_the_others_read(root, tmp_path):
    places = [f'{tmp_path}/shared', f'{tmp_path}/own{{}}', f'{tmp_path}/own{{}}']
    first, second = run_on_two_ranks(on_rank, tmp_path, str(root), places)
    paths = [f'{root}/{name}' for name in NAMES]
    assert [each['paths'] for each in first + second] == [paths] * 6
    # Folders: the root, a, a/b and .hidden.
    assert [each['scanned'] for each in first] == [4, 4, 0]
    assert [each['scanned'] for each in second] == [0, 0, 0]
    assert not Path(f'{tmp_path}/own1').exists()


def test_names_keep_their_bytes_and_slices(tmp_path):
    names = [os.fsdecode(name) for name in (b'a.jpg', b'caf\xe9.jpg', b'new\nline.jpg')]
    packed = ImageNames.pack('r/', names)
    assert [info['img_path'] for info in packed] == [f'r/{name}' for name in names]
    assert list(packed.names()) == names
    for part in (slice(1, None), slice(None, -1), slice(None, None, -1), slice(3, 9)):
        assert [*packed[part].paths()] == [f'r/{name}' for name in names[part]]
        assert [*packed[part].names()] == [packed[part].name(i) for i in range(
            len(packed[part]))]  # fmt: skip
    with pytest.raises(IndexError):
        packed[3]
    assert len(ImageNames.pack('', [])) == 0


def test_many_names_are_read_in_blocks():
    names = [f'{number:x}.jpg' for number in range(10000)]
    packed = ImageNames.pack('r/', names)
    assert list(packed.names()) == names
    assert list(packed[4095:9000].names()) == names[4095:9000]
    copy = pickle.loads(pickle.dumps(packed))
    assert copy[9999] == dict(img_path='r/270f.jpg')
    # About the bytes of the names, and eight for each.
    total = packed.texts.nbytes + packed.ends.nbytes
    assert total == len(''.join(names)) + 8 * len(names)


@pytest.mark.parametrize('indices', [None, 2, -2, [2, 0], []])
def test_indices_select_images_without_a_list_of_dicts(root, indices):
    dataset = UnlabeledImages(str(root), indices=indices)
    selected = {2: NAMES[:2], -2: NAMES[1:]}.get(indices) if indices in (2, -2) else (
        NAMES if indices is None else [NAMES[i] for i in indices]
    )  # fmt: skip
    assert isinstance(dataset.data_list, ImageNames)
    assert list(dataset.image_paths()) == [f'{root}/{n}' for n in selected]
    if selected:
        info = dict(img_path=f'{root}/{selected[-1]}', sample_idx=len(selected) - 1)
        assert dataset.get_data_info(-1) == info


def test_names_in_blocks_are_those_one_by_one(root, tmp_path, monkeypatch):
    monkeypatch.setattr('mmlgd.datasets.shards.index._BLOCK', 2)
    write_shards(tmp_path / 'shards', [3, 0, 2])
    images, shards = (
        UnlabeledImages(str(root)),
        UnlabeledShards(str(tmp_path / 'shards')),
    )
    part = UnlabeledShards(str(tmp_path / 'shards'), indices=-3)
    for dataset in (images, SeededViews(images), shards, SeededViews(shards), part):
        one_by_one = [list_image(dataset, index) for index in range(len(dataset))]
        blocks = [*list_images_of(dataset)]
        assert [each.name for each in blocks] == [each.name for each in one_by_one]
        assert [each.key() for each in blocks] == [each.key() for each in one_by_one]
        if dataset is not images and not isinstance(blocks[0].source, str):
            hashes = [each.content_hash() for each in one_by_one]
            assert [each.content_hash() for each in blocks] == hashes
    assert [each.name for each in list_images_of(part)] == [
        '00.tar/0002.png', '02.tar/0003.png', '02.tar/0004.png'
    ]  # fmt: skip


def test_damaged_names_of_shards_are_refused_in_blocks(tmp_path):
    write_shards(tmp_path, [3])
    UnlabeledShards(str(tmp_path))
    entries = np.fromfile(tmp_path / 'mmlgd_index/entries.bin', '<u8').reshape(-1, 3)
    entries[0, 2] = 2**63
    entries.tofile(tmp_path / 'mmlgd_index/entries.bin')
    dataset = UnlabeledShards(str(tmp_path))
    with pytest.raises(DataError, match='invalid entries'):
        list(list_images_of(dataset))


def test_lists_are_kept_in_the_work_dir():
    def images(**options):
        return dict(type='UnlabeledImages', data_root='data/a', **options)

    several = [images(), images(cache_dir='own'), images(backend_args=dict(backend='x')),
               dict(images(), data_root='s3://b'), images(share_listing=False)]  # fmt: skip
    cfg = Config(
        dict(
            work_dir='w',
            train_dataloader=dict(
                dataset=dict(
                    type='SeededViews',
                    dataset=dict(type='ConcatDataset', datasets=several),
                )
            ),
            val_dataloader=dict(dataset=dict(type='CustomDataset', data_root='b')),
        )
    )
    keep_image_lists(cfg, ['train_dataloader', 'val_dataloader', 'test_dataloader'])
    parts = cfg.train_dataloader.dataset.dataset.datasets
    assert [part.get('cache_dir') for part in parts] == [
        'w/image_lists', 'own', None, None, None
    ]  # fmt: skip
    assert 'cache_dir' not in cfg.val_dataloader.dataset

import os
import pickle
import tarfile
from multiprocessing.reduction import ForkingPickler

import cv2
import mmcv.transforms  # noqa: F401  (registers LoadImageFromFile)
import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from mmlgd.datasets import (
    SeededViews,
    UnlabeledImages,
    UnlabeledShards,
    ViewSampler,
    image_list_digest,
)
from mmlgd.datasets.image_list import list_image
from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATASETS
from tests.shards import png, write_shards, write_tar

LOAD = dict(type='mmlgd.LoadImageFromFile')


def value(sample):
    return int(sample['img'][0, 0, 0])


def build(folder, **options):
    return UnlabeledShards(str(folder), **{'pipeline': [LOAD], **options})


def test_images_of_all_shards_in_order_and_nothing_else(tmp_path):
    write_shards(tmp_path, [3, 0, 2])
    members = [('a/b.JPEG', png(5)), ('._c.png', b'x'), ('.hidden/d.png', b'x'),
               ('./e.png', png(6)), ('f.json', b'{}')]  # fmt: skip
    write_tar(tmp_path / '05.tar', members)
    dataset = DATASETS.build(
        dict(type='UnlabeledShards', data_root=str(tmp_path), pipeline=[LOAD])
    )
    assert [value(dataset[index]) for index in range(7)] == [*range(7)]
    assert value(dataset[-1]) == 6
    path = dataset.get_data_info(5)['img_path']
    assert path == f'{tmp_path}/05.tar/a/b.JPEG'
    assert dataset[5]['img_path'] == path
    assert dataset.data_root == str(tmp_path)


@pytest.mark.parametrize('form', [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_other_kinds_of_members(tmp_path, form):
    name = 'ü' * 120 + '/' + 'x' * 90 + '.png'
    with tarfile.open(tmp_path / 'a.tar', 'w', format=form) as tar:
        folder, link = tarfile.TarInfo('dir.png'), tarfile.TarInfo('link.png')
        folder.type, link.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, '/etc'
        tar.addfile(folder)
        tar.addfile(link)
    with tarfile.open(tmp_path / 'a.tar', 'a', format=form) as tar:
        for number, each in enumerate([name, '../../evil.png']):
            (tmp_path / 'image').write_bytes(png(number))
            tar.add(tmp_path / 'image', each)
    dataset = build(tmp_path)
    assert [value(one) for one in dataset] == [0, 1]
    assert dataset.get_data_info(0)['img_path'] == f'{tmp_path}/a.tar/{name}'
    # A name is only a name.
    assert not os.path.exists(tmp_path.parent.parent / 'evil.png')


def test_the_same_names_views_and_batches_as_a_folder(tmp_path):
    write_shards(tmp_path, [3, 2])
    for shard in ('00', '01'):
        with tarfile.open(tmp_path / f'{shard}.tar') as tar:
            tar.extractall(tmp_path / f'folder/{shard}.tar', filter='data')
    rng = np.random.default_rng(0)
    noise = [
        (
            f'{i}.png',
            cv2.imencode('.png', rng.integers(0, 256, (9, 8, 3)))[1],
        )
        for i in range(3)
    ]
    write_tar(tmp_path / '02.tar', [(name, one.tobytes()) for name, one in noise])
    (tmp_path / 'folder/02.tar').mkdir()
    for name, one in noise:
        (tmp_path / 'folder/02.tar' / name).write_bytes(one.tobytes())
    pipeline = [dict(type='FastRandomResizedCrop', scale=4)]
    with DefaultScope.overwrite_default_scope('mmlgd'):
        shards = SeededViews(build(tmp_path, pipeline=pipeline))
        folder = SeededViews(UnlabeledImages(f'{tmp_path}/folder', pipeline=pipeline))
    assert image_list_digest(shards) == image_list_digest(folder)
    for index in range(16):
        assert (shards[index]['img'] == folder[index]['img']).all()
        one, other = (list_image(each, index % 8) for each in (shards, folder))
        assert one.name == other.name
        assert one.content_hash() == other.content_hash()


def test_a_corrupt_member_is_counted_and_replaced(tmp_path):
    write_shards(tmp_path, [4])
    write_tar(
        tmp_path / '01.tar', [('x.png', b'junk'), ('y.png', b''), ('z.png', png(9))]
    )
    dataset = build(tmp_path, max_broken=0.3)
    assert [value(dataset[index]) for index in (3, 4, 5, 6)] == [3, 9, 9, 9]
    assert dataset.broken_paths() == [
        f'{tmp_path}/01.tar/x.png',
        f'{tmp_path}/01.tar/y.png',
    ]
    dataset.max_broken = 0.2
    with pytest.raises(
        DataError, match='(?s)2 of the 7.*x.png.*max_broken of UnlabeledShards'
    ):
        dataset.check_broken()


def test_workers_read_and_share_the_count(tmp_path):
    write_shards(tmp_path, [5, 4])
    write_tar(tmp_path / '03.tar', [('x.png', b'junk'), ('y.png', png(10))])
    dataset = SeededViews(build(tmp_path, max_broken=0.2))
    loader = DataLoader(
        dataset, 3, sampler=ViewSampler(dataset, shuffle=False), num_workers=2,
        collate_fn=pseudo_collate, multiprocessing_context='fork',
    )  # fmt: skip
    values = [int(img[0, 0, 0]) for batch in loader for img in batch['img']]
    assert values == [*range(9), 10, 10]
    # As for a spawned worker.
    copy = pickle.loads(ForkingPickler.dumps(dataset.dataset))
    assert value(copy[3]) == 3
    assert copy.broken_paths() == [f'{tmp_path}/03.tar/x.png']


def test_a_copy_for_a_worker_is_small(tmp_path):
    (path,) = write_shards(tmp_path, [40])
    assert len(pickle.dumps(build(tmp_path))) < 3000 < path.stat().st_size


def test_indices_take_a_part(tmp_path):
    write_shards(tmp_path, [3, 4, 2])
    for indices, wanted in ((5, [0, 1, 2, 3, 4]), (-3, [6, 7, 8]), ([7, 1], [7, 1])):
        dataset = build(tmp_path, indices=indices, shuffle_by='shards')
        assert [value(one) for one in dataset] == wanted
        order = dataset.pass_order(3)(np.arange(len(wanted)))
        assert sorted(order.tolist()) == [*range(len(wanted))]


@pytest.mark.parametrize('shuffle_by', ['images', 'shards'])
def test_ranks_workers_and_resuming(tmp_path, monkeypatch, shuffle_by):
    write_shards(tmp_path, [7, 0, 13, 5])
    views = SeededViews(build(tmp_path, shuffle_by=shuffle_by, shuffle_buffer=9))

    def stream(rank, world, origin=0):
        monkeypatch.setattr(
            'mmlgd.datasets.view_sampler.get_dist_info', lambda: (rank, world)
        )
        sampler = ViewSampler(views, seed=4, infinite=True)
        sampler.origin = origin
        return iter(sampler)

    alone = stream(0, 1)
    whole = [next(alone) for _ in range(60)]
    # Each pass has each image once, in an order of its own.
    passes = [whole[:25], whole[25:50]]
    assert [sorted(one) for one in passes] == [[*range(25)], [*range(25, 50)]]
    assert passes[0] != [*range(25)] and [i - 25 for i in passes[1]] != passes[0]
    ranks = [stream(rank, 3) for rank in range(3)]
    together = [next(rank) for _ in range(20) for rank in ranks]
    assert together == whole
    # After 14 images, with two ranks instead of one.
    ranks = [stream(rank, 2, origin=14) for rank in range(2)]
    assert [next(rank) for _ in range(23) for rank in ranks] == whole[14:]


def test_shard_wise_order_has_few_shards_at_a_time(tmp_path):
    write_shards(tmp_path, [8] * 12)
    dataset = build(tmp_path, shuffle_by='shards', shuffle_buffer=16, shuffle_run=2)
    order = dataset.pass_order(0)(np.arange(96))
    assert all(
        len({*(order[begin : begin + 16] // 8)}) == 2 for begin in range(0, 96, 16)
    )
    assert [*dict.fromkeys(order // 8)] != [*range(12)]


def test_missing_changed_and_new_shards_are_named(tmp_path):
    paths = write_shards(tmp_path, [3, 3])
    build(tmp_path)
    content = paths[1].read_bytes()
    paths[1].unlink()
    with pytest.raises(DataError, match=r'01\.tar.*mmlgd index-shards'):
        build(tmp_path)
    with pytest.raises(DataError, match=r'1 of 2 shards do not exist.*01\.tar'):
        build(tmp_path, shards='{00..01}.tar')
    # Of the same size, but another file.
    paths[1].write_bytes(content)
    with pytest.raises(DataError, match=r'01\.tar changed since it was indexed'):
        build(tmp_path)


def test_a_header_that_moved_is_found_even_with_the_old_size_and_time(tmp_path):
    (path,) = write_shards(tmp_path, [3])
    dataset, time = build(tmp_path), path.stat().st_mtime_ns
    content = path.read_bytes()
    path.write_bytes(content[512:] + bytes(512))
    os.utime(path, ns=(time, time))
    with pytest.raises(DataError, match=r'00\.tar'):
        build(tmp_path)
    with pytest.raises(DataError, match=r'00\.tar'):
        dataset[1]
    assert dataset.broken_paths() == []


@pytest.mark.parametrize('kept', [100, 512, 700, 5000, -10240, 10240])
def test_a_truncated_shard_is_named(tmp_path, kept):
    _, path = write_shards(tmp_path, [3, 9])
    content = path.read_bytes()
    path.write_bytes(content[:kept])
    with pytest.raises(DataError, match=r'01\.tar is truncated'):
        build(tmp_path)
    # Truncated while training.
    path.write_bytes(content)
    dataset = build(tmp_path)
    path.write_bytes(content[:1500])
    with pytest.raises(DataError, match=r'01\.tar is truncated'):
        dataset[11]


def test_what_is_not_a_shard_is_refused(tmp_path):
    for content, cause in ((b'x' * 2000, 'not a tar file'), (b'', 'truncated'),
                           (b'\x1f\x8b' + bytes(1000), 'compressed with gzip')):  # fmt: skip
        (tmp_path / 'a.tar').write_bytes(content)
        with pytest.raises(DataError, match=rf'a\.tar is {cause}'):
            build(tmp_path)
    write_tar(tmp_path / 'a.tar', [('a.txt', b'x')])
    with pytest.raises(DataError, match=r'no image.*\.jpg'):
        build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['a.tar']
    with pytest.raises(DataError, match=r'nowhere.*data_root'):
        build(tmp_path / 'nowhere')
    with pytest.raises(DataError, match=r"no shard '\*\.zip'"):
        build(tmp_path, shards='*.zip')


@pytest.mark.parametrize('damage', ['json', 'entries', 'names'])
def test_a_damaged_index_is_refused(tmp_path, damage):
    write_shards(tmp_path, [3])
    build(tmp_path)
    file = next((tmp_path / 'mmlgd_index').glob(f'*{damage}*'))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match='index of shards .*mmlgd index-shards'):
        build(tmp_path)


def test_an_index_of_other_members_is_refused(tmp_path):
    write_shards(tmp_path, [3])
    build(tmp_path)
    with pytest.raises(DataError, match='extensions='):
        build(tmp_path, extensions=['.png'])


@pytest.mark.parametrize(
    'option, wanted',
    [
        (dict(shards='../x.tar'), 'names below data_root'),
        (dict(shards='{5..2}.tar'), 'smaller number first'),
        (dict(shuffle_by='all'), 'shuffle_by'),
        (dict(shuffle_buffer=0), 'shuffle_buffer'),
        (dict(retries=-1), 'retries'),
        (dict(timeout=0), 'timeout'),
        (dict(max_broken=2), 'max_broken'),
        (dict(extensions='.png'), 'extensions'),
        (dict(storage_options=dict(a=1)), 'for URLs'),
        (dict(pipeline=[dict(type='LoadImageFromFile', imdecode_backend='pillow')]),
         'reads files'),
    ],
)  # fmt: skip
def test_wrong_options_are_refused(tmp_path, option, wanted):
    write_shards(tmp_path, [1])
    with pytest.raises(ConfigError, match=wanted):
        build(tmp_path, **option)


@pytest.mark.parametrize(
    'root', [None, 3, '', 'ftp://host/x', 's3://key:secret@host/x']
)
def test_wrong_roots_are_refused(root):
    with pytest.raises(ConfigError, match=r'folder|credentials'):
        UnlabeledShards(root)


@pytest.mark.parametrize(
    'options',
    [dict(key='AKIA'), dict(client_kwargs=dict(aws_secret_access_key='x'))],
)
def test_credentials_in_a_config_are_refused(options):
    with pytest.raises(ConfigError, match='credentials.*AWS_PROFILE'):
        UnlabeledShards('s3://bucket', storage_options=options, index='x')

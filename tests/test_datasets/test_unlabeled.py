import os
import pickle
from multiprocessing.reduction import ForkingPickler

import cv2
import mmcv.transforms  # noqa: F401  (registers LoadImageFromFile)
import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from mmlgd.datasets import UnlabeledImages
from mmlgd.datasets.transforms import FastRandomResizedCrop
from mmlgd.errors import ConfigError, DataError, ImageReadError
from mmlgd.registry import DATASETS

# With the prefix, since mmcv has one of the same name.
LOAD = dict(type='mmlgd.LoadImageFromFile')


def write_images(folder, names, broken=()):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in broken:
            path.write_bytes(b'not an image')
        else:
            cv2.imwrite(str(path), np.full((4, 4, 3), number, np.uint8))


def value(sample):
    return int(sample['img'][0, 0, 0])


def fail_on_third(results):
    if results['img'][0, 0, 0] == 2:
        raise ValueError('fault of a transform')
    return results


def pack(results):
    return dict(inputs=results['img'])


def fail_always(results):
    raise ValueError('fault of a transform')


def reject_third(results):
    return None if results['img'][0, 0, 0] == 2 else results


def numbered(count):
    return [f'{number:02d}.png' for number in range(count)]


def test_lists_nested_images_sorted_without_labels_or_list(tmp_path):
    names = ['b.png', 'a/z.JPEG', 'a/deep/er/1.bmp', 'c.webp']
    write_images(tmp_path, names)
    (tmp_path / 'readme.txt').touch()
    (tmp_path / '._b.png').touch()
    dataset = DATASETS.build(
        dict(type='UnlabeledImages', data_root=str(tmp_path), pipeline=[LOAD])
    )
    paths = [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]
    expected = ['a/deep/er/1.bmp', 'a/z.JPEG', 'b.png', 'c.webp']
    assert paths == [str(tmp_path / name) for name in expected]
    assert 'gt_label' not in dataset.get_data_info(0)
    assert value(dataset[2]) == value(dataset[-2]) == 0
    assert len(list(dataset)) == 4


def test_data_prefix_and_indices(tmp_path):
    write_images(tmp_path, [f'train2017/{number}.png' for number in range(4)])
    write_images(tmp_path, ['val2017/0.png'])
    dataset = UnlabeledImages(str(tmp_path), 'train2017', indices=3, pipeline=[LOAD])
    assert len(dataset) == 3
    assert [value(dataset[index]) for index in range(3)] == [0, 1, 2]


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(DataError, match='nowhere.*data_root'):
        UnlabeledImages(str(tmp_path / 'nowhere'))
    (tmp_path / 'notes.txt').touch()
    with pytest.raises(DataError, match=r'\.jpg, .*1 with \.txt.*extensions') as caught:
        UnlabeledImages(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    'option', [dict(max_broken=1.5), dict(extensions='.jpg'), dict(extensions=[1])]
)
def test_wrong_options_are_refused(tmp_path, option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        UnlabeledImages(str(tmp_path), **option)


def test_broken_image_gives_way_to_the_next_and_counts_once(tmp_path, caplog):
    names = numbered(10)
    write_images(tmp_path, names, broken=('03.png', '04.png', '09.png'))
    (tmp_path / '09.png').write_bytes(b'')
    dataset = UnlabeledImages(str(tmp_path), max_broken=0.3, pipeline=[LOAD])
    for _ in range(2):
        assert [value(dataset[index]) for index in (2, 3, 4, 9)] == [2, 5, 5, 0]
    expected = [str(tmp_path / name) for name in ('03.png', '04.png', '09.png')]
    assert dataset.broken_paths() == expected


def test_truncated_image_is_broken(tmp_path):
    write_images(tmp_path, numbered(2))
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    whole = cv2.imencode('.jpg', noise)[1].tobytes()
    (tmp_path / '00.png').write_bytes(whole[: len(whole) // 2])
    dataset = UnlabeledImages(str(tmp_path), max_broken=1, pipeline=[LOAD])
    assert value(dataset[0]) == 1


def test_too_many_broken_images_stop_and_are_listed(tmp_path):
    write_images(tmp_path, numbered(10), broken=('03.png', '04.png'))
    dataset = UnlabeledImages(str(tmp_path), max_broken=0.1, pipeline=[LOAD])
    with pytest.raises(DataError, match='(?s)2 of the 10.*03.png.*04.png.*max_broken'):
        dataset[3]


def test_no_replacement_in_test_mode(tmp_path):
    write_images(tmp_path, numbered(3), broken=('01.png',))
    dataset = UnlabeledImages(
        str(tmp_path), max_broken=1, test_mode=True, pipeline=[LOAD]
    )
    with pytest.raises(DataError, match='01.png'):
        dataset[1]


def test_every_image_broken_ends(tmp_path):
    write_images(tmp_path, numbered(3), broken=numbered(3))
    dataset = UnlabeledImages(str(tmp_path), max_broken=1, pipeline=[LOAD])
    with pytest.raises(DataError, match='no other'):
        dataset[0]


def test_errors_in_transforms_are_not_broken_images(tmp_path):
    write_images(tmp_path, numbered(4))
    for faulty in ([fail_on_third], [pack, fail_always]):
        dataset = UnlabeledImages(str(tmp_path), pipeline=[LOAD, *faulty])
        with pytest.raises(ValueError, match='fault of a transform'):
            dataset[2]
        assert dataset.broken_paths() == []


def test_errors_in_loading_transforms_are_not_broken_images(tmp_path):
    # Reading and cropping in one: what is no ImageReadError is its own fault.
    write_images(tmp_path, numbered(30))
    crop = FastRandomResizedCrop(scale=4)
    crop.scale = (4, -1)
    dataset = UnlabeledImages(str(tmp_path), max_broken=1, pipeline=[crop])
    with pytest.raises(
        ConfigError, match=r'(?s)Transform 0 .*FastRandomResizedCrop.*scale=\(4, -1\)'
    ):
        dataset[2]
    assert dataset.broken_paths() == []


@pytest.mark.parametrize('error', [KeyError('img'), TypeError('no'), IndexError('x')])
def test_errors_without_loading_are_not_broken_images(tmp_path, error):
    def crop_before_loading(results):
        raise error

    write_images(tmp_path, numbered(3))
    dataset = UnlabeledImages(
        str(tmp_path), max_broken=1, pipeline=[crop_before_loading, LOAD]
    )
    with pytest.raises(ConfigError, match='crop_before_loading.*position'):
        dataset[0]
    assert dataset.broken_paths() == []


@pytest.mark.parametrize(
    'error',
    [OSError('I/O'), ValueError('bad'), AttributeError('None'), cv2.error('cv2'),
     SyntaxError('broken PNG'), AssertionError('failed to load'), EOFError()],
)  # fmt: skip
def test_readers_of_other_libraries_report_broken_images(tmp_path, error):
    def load(results):
        if results['img_path'].endswith('1.png'):
            raise error
        return dict(results, img=cv2.imread(results['img_path']))

    write_images(tmp_path, numbered(3))
    dataset = UnlabeledImages(str(tmp_path), max_broken=0.4, pipeline=[load])
    assert value(dataset[1]) == 2
    assert dataset.broken_paths() == [str(tmp_path / '01.png')]


def test_image_read_error_counts_wherever_it_comes_from(tmp_path):
    # A transform that reads within another one, as MultiView holds them.
    def read_later(results):
        if results['img_path'].endswith('1.png'):
            raise ImageReadError('the second file is damaged')
        return results

    write_images(tmp_path, numbered(3))
    dataset = UnlabeledImages(
        str(tmp_path), max_broken=0.4, pipeline=[LOAD, read_later]
    )
    assert value(dataset[1]) == 2
    assert len(dataset.broken_paths()) == 1


def test_first_reason_is_in_the_error_also_of_another_process(tmp_path):
    write_images(tmp_path, numbered(10), broken=('03.png',))
    dataset = UnlabeledImages(str(tmp_path), max_broken=0.05, pipeline=[LOAD])
    wanted = (
        r'(?s)1 of the 10 images.*max_broken=0\.05 allows \(0 of 10\).*'
        r'The first: .*03\.png cannot be decoded'
    )
    with pytest.raises(DataError, match=wanted):
        dataset[3]
    # As the hook finds it: a worker has set the flag.
    dataset = UnlabeledImages(str(tmp_path), max_broken=0.05, pipeline=[LOAD])
    dataset.broken.add(3)
    with pytest.raises(DataError, match=wanted):
        dataset.check_broken()
    write_images(tmp_path, numbered(10))
    with pytest.raises(DataError, match='03.png, loads now; it did not before'):
        dataset.check_broken()


def test_few_broken_images_are_logged_one_by_one_and_many_by_powers_of_ten(
    tmp_path, monkeypatch
):
    lines = []
    monkeypatch.setattr(
        'mmlgd.datasets.replacing.print_log', lambda text, **kwargs: lines.append(text)
    )
    for number in range(120):
        (tmp_path / f'{number:03}.png').write_bytes(b'broken')
    dataset = UnlabeledImages(str(tmp_path), max_broken=1, pipeline=[LOAD])
    for index in range(120):
        dataset.prepare_data(index)
    assert [line.split('replaced (')[1].split(' of')[0] for line in lines] == [
        *map(str, range(1, 11)), '100'
    ]  # fmt: skip
    assert '000.png' in lines[0] and 'only the 100th' in lines[9]


def test_names_that_are_not_utf8_are_trained_on_and_printed(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmlgd.datasets.replacing.print_log', lambda text, **kwargs: lines.append(text)
    )
    write_images(tmp_path, ['a.png', 'b.png'])
    good, bad = b'caf\xe9.png', b'caf\xea.png'
    folder = os.fsencode(tmp_path)
    os.rename(tmp_path / 'a.png', os.path.join(folder, good))
    with open(os.path.join(folder, bad), 'wb') as stream:
        stream.write(b'broken')
    pipeline = [dict(type='FastRandomResizedCrop', scale=4)]
    with DefaultScope.overwrite_default_scope('mmlgd'):
        dataset = UnlabeledImages(str(tmp_path), max_broken=0.4, pipeline=pipeline)
    samples = [dataset[index] for index in range(3)]
    assert [os.path.basename(os.fsencode(one['img_path'])) for one in samples] == [
        b'b.png', good, b'b.png'
    ]  # fmt: skip
    assert [value(one) for one in samples] == [1, 0, 1]
    # Between processes, and into every text file.
    copies = list(DataLoader(dataset, batch_size=None, num_workers=1))
    assert [one['img_path'] for one in copies] == [one['img_path'] for one in samples]
    assert r'caf\udcea.png' in lines[0]
    lines[0].encode('utf-8')
    dataset.max_broken = 0
    with pytest.raises(DataError, match=r'caf\\udcea\.png') as caught:
        dataset.check_broken()
    str(caught.value).encode('utf-8')


@pytest.mark.parametrize('root', [None, 3, b'images', ['images']])
def test_root_that_is_not_a_path_is_refused(root):
    with pytest.raises(ConfigError, match='data_root must be a folder'):
        UnlabeledImages(root)


def test_rejection_by_a_transform_takes_the_next_uncounted(tmp_path):
    write_images(tmp_path, numbered(4))
    dataset = UnlabeledImages(str(tmp_path), pipeline=[LOAD, reject_third])
    assert value(dataset[2]) == 3
    assert dataset.broken_paths() == []


def test_workers_share_the_count(tmp_path):
    write_images(tmp_path, numbered(12), broken=('01.png', '06.png'))
    dataset = UnlabeledImages(str(tmp_path), max_broken=0.2, pipeline=[LOAD])
    loader = DataLoader(dataset, batch_size=1, num_workers=2, collate_fn=pseudo_collate)
    values = [int(batch['img'][0][0, 0, 0]) for batch in loader]
    assert values == [0, 2, 2, 3, 4, 5, 7, 7, 8, 9, 10, 11]
    names = [path[-6:] for path in dataset.broken_paths()]
    assert names == ['01.png', '06.png']
    # Image 1 is met by the second worker, image 6 by the first: neither alone
    # exceeds one in twelve.
    dataset.max_broken = 1 / 12
    batches = iter(loader)
    with pytest.raises(DataError, match='2 of the 12'):
        list(batches)
    # Left to the garbage collector, torch waits 10 s for the workers.
    batches._shutdown_workers()


def test_copy_for_a_spawned_worker_shares_the_count(tmp_path):
    write_images(tmp_path, numbered(3), broken=('01.png',))
    dataset = UnlabeledImages(str(tmp_path), max_broken=1, pipeline=[LOAD])
    copy = pickle.loads(ForkingPickler.dumps(dataset))
    assert value(copy[1]) == 2
    assert dataset.broken_paths() == [str(tmp_path / '01.png')]


def test_a_list_replaces_the_folder_and_keeps_its_order(tmp_path):
    write_images(tmp_path / 'images', ['a.png', 'b.png', 'sub/c.png'])
    write_images(tmp_path / 'other', ['d.png'])
    lines = ['sub/c.png', '', str(tmp_path / 'other/d.png'), 'a.png']
    (tmp_path / 'list.txt').write_text('\n'.join(lines))
    options = dict(data_root=str(tmp_path), data_prefix='images', pipeline=[LOAD])
    dataset = DATASETS.build(
        dict(type='mmlgd.UnlabeledImages', ann_file='list.txt', **options)
    )
    # The values of write_images: c is its third image, d and a are first ones.
    assert [value(dataset[index]) for index in range(len(dataset))] == [2, 0, 0]
    paths = [dataset.get_data_info(index)['img_path'] for index in range(3)]
    assert paths[1] == str(tmp_path / 'other/d.png')


def test_names_that_are_not_utf8_are_listed(tmp_path):
    name = os.fsdecode(b'\xff.png')
    write_images(tmp_path, ['x.png'])
    os.rename(tmp_path / 'x.png', os.path.join(tmp_path, name))
    (tmp_path / 'list.txt').write_bytes(b'\xff.png\n')
    dataset = UnlabeledImages(str(tmp_path), ann_file='list.txt', pipeline=[])
    assert os.path.isfile(dataset.get_data_info(0)['img_path'])


@pytest.mark.parametrize(
    ('content', 'what'), [(None, 'cannot be read'), ('\n\n', 'is empty')]
)
def test_a_list_that_is_missing_or_empty_is_refused(tmp_path, content, what):
    if content is not None:
        (tmp_path / 'list.txt').write_text(content)
    with pytest.raises(DataError, match=what):
        UnlabeledImages(str(tmp_path), ann_file='list.txt')

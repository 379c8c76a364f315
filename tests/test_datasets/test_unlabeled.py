import pickle
from multiprocessing.reduction import ForkingPickler

import cv2
import mmcv.transforms  # noqa: F401  (registers LoadImageFromFile)
import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmlgd.datasets import UnlabeledImages
from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATASETS

LOAD = dict(type='LoadImageFromFile')


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


def test_absent_and_empty_folders_are_named(tmp_path):
    with pytest.raises(DataError, match='nowhere.*data_root'):
        UnlabeledImages(str(tmp_path / 'nowhere'))
    (tmp_path / 'notes.txt').touch()
    with pytest.raises(DataError, match=r'\.jpg, .*1 with \.txt.*extensions') as caught:
        UnlabeledImages(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize('option', [dict(max_broken=1.5), dict(extensions='.jpg')])
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


def test_fault_of_a_transform_is_no_broken_image(tmp_path):
    write_images(tmp_path, numbered(4))
    for faulty in ([fail_on_third], [pack, fail_always]):
        dataset = UnlabeledImages(str(tmp_path), pipeline=[LOAD, *faulty])
        with pytest.raises(ValueError, match='fault of a transform'):
            dataset[2]
        assert dataset.broken_paths() == []


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

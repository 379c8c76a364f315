import random

import pytest
from mmpretrain.datasets import ImageNet

from mmlgd.datasets import imagenet_subsets
from mmlgd.datasets.imagenet_subsets import (
    SIMCLR_COUNTS,
    class_folders,
    read_simclr_list,
    train_images,
)
from mmlgd.datasets.splits import annotation_lines, write_lines
from mmlgd.errors import ConfigError, DataError

WNIDS = ['n01440764', 'n02085620', 'n15075141']
COUNT = 7


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    """Three classes of five images; SimCLR's 1 % subset has 7 of them."""
    monkeypatch.setattr(imagenet_subsets, 'NUM_CLASSES', len(WNIDS))
    monkeypatch.setitem(SIMCLR_COUNTS, 1, COUNT)
    for wnid in WNIDS:
        folder = tmp_path / 'train' / wnid
        folder.mkdir(parents=True)
        for number in range(5):
            (folder / f'{wnid}_{number}.JPEG').touch()
    return tmp_path


def names(count=COUNT):
    every = [f'{wnid}_{number}.JPEG' for number in range(5) for wnid in WNIDS]
    return random.Random(0).sample(every, count)


def write_list(imagenet, entries):
    path = imagenet / '1percent.txt'
    path.write_text('\n'.join(entries) + '\n')
    return path


def test_published_counts():
    assert SIMCLR_COUNTS == {1: 12811, 10: 128116}


@pytest.mark.parametrize('prefix', ['', 'train/n0/'])
def test_list_becomes_an_ann_file_that_mmpretrain_reads(imagenet, prefix):
    chosen = names()
    path = write_list(imagenet, [prefix + name for name in chosen])
    classes = read_simclr_list(path, 1, imagenet / 'train')
    write_lines(imagenet / 'meta' / '1percent.txt', annotation_lines(classes))
    dataset = ImageNet(str(imagenet), split='train', ann_file='meta/1percent.txt')
    read = {
        (info['img_path'].rsplit('/', 2)[-1], info['gt_label'])
        for info in map(dataset.get_data_info, range(len(dataset)))
    }
    assert read == {(name, WNIDS.index(name.split('_')[0])) for name in chosen}
    assert all(
        (imagenet / 'train' / image).is_file() for part in classes for image in part
    )


def test_wrong_count_names_both_numbers(imagenet):
    path = write_list(imagenet, names(6))
    with pytest.raises(DataError, match=r'lists 6 images.*1 % subset has 7.*simclr'):
        read_simclr_list(path, 1, imagenet / 'train')


def test_repeated_name(imagenet):
    chosen = names(6)
    path = write_list(imagenet, [*chosen, chosen[0]])
    with pytest.raises(DataError, match='7 images, 1 of them more than once'):
        read_simclr_list(path, 1, imagenet / 'train')


def test_web_page_instead_of_a_list(imagenet):
    path = write_list(imagenet, ['<!DOCTYPE', 'html>'])
    with pytest.raises(DataError, match='entry 1 .*DOCTYPE.*fetch it again'):
        read_simclr_list(path, 1, imagenet / 'train')


def test_missing_list(imagenet):
    with pytest.raises(DataError, match=r'none\.txt cannot be read.*simclr'):
        read_simclr_list(imagenet / 'none.txt', 1, imagenet / 'train')


def test_image_that_is_not_on_disk(imagenet):
    chosen = names()
    missing = sorted(chosen)[0]
    (imagenet / 'train' / missing.split('_')[0] / missing).unlink()
    path = write_list(imagenet, chosen)
    with pytest.raises(DataError, match=f'1 of the 7 images.*{missing}'):
        read_simclr_list(path, 1, imagenet / 'train')


def test_class_of_another_dataset(imagenet):
    path = write_list(imagenet, [*names(6), 'n99999999_1.JPEG'])
    with pytest.raises(DataError, match='no folder n99999999'):
        read_simclr_list(path, 1, imagenet / 'train')


def test_other_percentage(imagenet):
    with pytest.raises(ConfigError, match='not of 5 %'):
        read_simclr_list(imagenet / 'any.txt', 5, imagenet / 'train')


def test_folder_without_the_classes(tmp_path):
    (tmp_path / 'n01440764').mkdir()
    with pytest.raises(DataError, match='has 1 class folders.*not 1000'):
        class_folders(tmp_path)


def test_all_images_in_label_order(imagenet):
    (imagenet / 'train' / 'readme').mkdir()
    (imagenet / 'train' / WNIDS[0] / 'thumbs.db').touch()
    classes = train_images(imagenet / 'train')
    assert [images[0].split('/')[0] for images in classes] == WNIDS
    assert [len(images) for images in classes] == [5, 5, 5]
    for image in (imagenet / 'train' / WNIDS[1]).iterdir():
        image.unlink()
    with pytest.raises(DataError, match=WNIDS[1]):
        train_images(imagenet / 'train')

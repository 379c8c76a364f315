"""Images and names of a distillation, in every form that they are given in."""

import json
import tarfile

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlgd.apis.distillation.inputs import find_images, find_names
from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATASETS
from tests.runs import write_images


@pytest.fixture
def folder(tmp_path):
    init_default_scope('mmlgd')
    return write_images(tmp_path / 'given', num=6) / 'train'


def built(found, out):
    """The dataset as the written config would give it."""
    for name, content in found.files.items():
        (out / name).write_text(content, encoding='utf-8', errors='surrogateescape')
    (out / 'config.py').write_text(Config(dict(dataset=found.dataset)).pretty_text)
    return DATASETS.build(Config.fromfile(out / 'config.py').dataset)


def test_a_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    found = find_images('train', tmp_path)
    assert found.count == 6
    assert found.dataset == dict(type='UnlabeledImages', data_root=str(folder))


def test_a_wrong_folder_is_not_blamed_on_a_config_alone(tmp_path):
    (tmp_path / 'notes.txt').write_text('x')
    for folder, what in (
        (tmp_path / 'absent', 'does not exist'),
        (tmp_path, 'no image'),
    ):
        with pytest.raises(DataError, match=f'{what}.*Give another'):
            find_images(folder, None)


def test_a_list_of_files_keeps_its_order_and_nothing_else_of_the_folder(
    folder, tmp_path
):
    images = [folder / '004.png', folder.parent / 'val/cat/000.png', folder / '001.png']
    found = find_images(images, tmp_path)
    dataset = built(found, tmp_path)
    assert found.count == len(dataset) == 3
    paths = [dataset.get_data_info(index)['img_path'] for index in range(3)]
    assert paths == [str(image) for image in images]
    assert dataset.data_root == str(folder.parent)


def test_one_file_in_a_list(folder, tmp_path):
    dataset = built(find_images([folder / '004.png'], tmp_path), tmp_path)
    assert dataset.get_data_info(0)['img_path'] == str(folder / '004.png')


@pytest.fixture
def shards(folder, tmp_path):
    place = tmp_path / 'shards'
    place.mkdir()
    files = sorted(folder.glob('*.png'))
    for number, part in enumerate((files[:4], files[4:])):
        with tarfile.open(place / f'{number:03}.tar', 'w') as tar:
            for file in part:
                tar.add(file, file.name)
    return place


@pytest.mark.parametrize(
    ('pattern', 'count'), [('', 6), ('*.tar', 6), ('{000..001}.tar', 6), ('001.tar', 2)]
)
def test_shards_are_indexed_in_the_folder_of_the_run(shards, tmp_path, pattern, count):
    out = tmp_path / 'run'
    out.mkdir()
    found = find_images(str(shards / pattern) if pattern else shards, out)
    assert found.count == count
    assert found.dataset['type'] == 'UnlabeledShards'
    assert len(built(found, out)) == count
    assert sorted(each.name for each in shards.iterdir()) == ['000.tar', '001.tar']


def test_without_a_folder_of_the_run_nothing_is_written(shards):
    assert find_images(shards, None).count == 6
    assert sorted(each.name for each in shards.iterdir()) == ['000.tar', '001.tar']


@pytest.mark.parametrize(
    ('images', 'what'),
    [
        ('absent', 'absent.* does not exist'),
        ('empty', 'has no image'),
        ('note.txt', "is the file .*note.txt'; give a folder"),
        ([], 'list of images is empty'),
        (['absent.png'], "1 of the 1 images do not exist, such as .*absent.png'"),
        (['a\nb.png'], 'has a line break'),
        ('absent/*.tar', 'absent'),
    ],
)
def test_images_that_are_not_there_are_refused(images, what, tmp_path, monkeypatch):
    init_default_scope('mmlgd')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'note.txt').write_text('hello')
    (tmp_path / 'a\nb.png').write_bytes(b'x')
    with pytest.raises(DataError, match=what):
        find_images(images, None)


def test_images_of_another_type_are_refused():
    with pytest.raises(ConfigError, match='images is a int'):
        find_images(3, None)


def test_names_of_a_set_a_file_and_a_list(tmp_path):
    assert find_names('coco')[0] == 'coco'
    (tmp_path / 'names.txt').write_text('red fox\nbadger\n')
    assert find_names(tmp_path / 'names.txt') == ('', ['red fox', 'badger'])
    assert find_names(['red fox', 'badger']) == ('', ['red fox', 'badger'])
    assert find_names(dict(classes=['a', 'b'])) == ('', ['a', 'b'])


@pytest.mark.parametrize(
    ('names', 'what'),
    [
        ('absent.txt', 'absent.txt'),
        ('cooco', "Did you mean 'coco'"),
        (['fox'], "only 'fox'"),
        ([], 'contains no category name'),
        ('.', "names is the folder '.'"),
    ],
)
def test_names_that_cannot_be_used_are_refused(names, what):
    with pytest.raises(ConfigError, match=what):
        find_names(names)


def test_any_name_survives_the_file_beside_the_config(tmp_path):
    """Commas, hashes and braces have a meaning in some formats of names."""
    names = ['a, b', '# c', '{{ fileDirname }}', 'ünï', '日本']
    text = json.dumps(names, indent=0, ensure_ascii=False)
    (tmp_path / 'names.json').write_text(text, encoding='utf-8')
    assert find_names(tmp_path / 'names.json')[1] == names

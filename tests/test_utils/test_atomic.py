import errno
import os

import pytest

from mmlgd.errors import ConfigError
from mmlgd.utils.atomic import (
    check_output_file,
    check_output_folder,
    remove_leftovers,
    replace_file,
    replace_folder,
    replace_group,
    write_atomically,
)


def test_replaces_the_content_and_leaves_no_part(tmp_path):
    path = tmp_path / 'new' / 'bank.pth'
    write_atomically(path, b'old')
    write_atomically(path, 'naïve')
    assert path.read_bytes() == 'naïve'.encode()
    assert os.listdir(path.parent) == ['bank.pth']


def test_failure_while_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / 'bank.pth'
    path.write_bytes(b'old')
    with pytest.raises(OSError), replace_file(path) as part:
        part.write_bytes(b'half')
        raise OSError(errno.ENOSPC, 'No space left on device')
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['bank.pth']


def test_failure_while_flushing_keeps_the_old_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    path = tmp_path / 'bank.pth'
    path.write_bytes(b'old')
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space'):
        write_atomically(path, b'new')
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['bank.pth']


def test_folder_is_replaced_whole(tmp_path):
    folder = tmp_path / 'new' / 'images'
    for name in ('a', 'b'):
        with replace_folder(folder) as part:
            (part / name).touch()
            assert os.listdir(folder) == ['a'] if name == 'b' else not folder.exists()
    assert os.listdir(folder) == ['b']
    assert os.listdir(folder.parent) == ['images']


def test_failure_while_filling_keeps_the_old_folder(tmp_path):
    with replace_folder(tmp_path / 'images') as part:
        (part / 'a').touch()
    with pytest.raises(KeyError), replace_folder(tmp_path / 'images') as part:
        (part / 'b').touch()
        raise KeyError('stopped')
    assert os.listdir(tmp_path / 'images') == ['a']
    assert os.listdir(tmp_path) == ['images']


def test_new_file_gets_the_usual_permissions(tmp_path):
    write_atomically(tmp_path / 'a', b'')
    (tmp_path / 'b').write_bytes(b'')
    assert (tmp_path / 'a').stat().st_mode == (tmp_path / 'b').stat().st_mode


def test_removes_only_parts_of_killed_runs(tmp_path):
    (tmp_path / 'iter_1.pth').touch()
    (tmp_path / '.git').touch()
    (tmp_path / '.iter_2.pth.0123abcd.mmlgd-tmp').touch()
    assert remove_leftovers(tmp_path) == ['.iter_2.pth.0123abcd.mmlgd-tmp']
    assert sorted(os.listdir(tmp_path)) == ['.git', 'iter_1.pth']


def test_output_check_creates_the_folder_and_leaves_no_file(tmp_path):
    path = tmp_path / 'new' / 'deeper' / 'out.pkl'
    check_output_file(path, '--out', ('.pkl',))
    assert list(path.parent.iterdir()) == []
    path.write_text('old')
    check_output_file(path)
    assert path.read_text() == 'old'


@pytest.mark.parametrize(
    ('name', 'what'),
    [
        ('folder', 'is a folder'),
        ('file/out.pkl', 'file cannot be written'),
        ('n' * 300, 'too long'),
        ('out.json', r"must end with .pkl or .pickle, but is '.*out.json'"),
    ],
)
def test_unwritable_output_paths_are_refused(tmp_path, name, what):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'file').touch()
    suffixes = ('.pkl', '.pickle') if name.endswith('.json') else ()
    with pytest.raises(ConfigError, match=f'--out.*{what}'):
        check_output_file(tmp_path / name, '--out', suffixes)


@pytest.mark.parametrize('name', ['n' * 251 + '.pth', 'ü' * 125 + '.pth'])
def test_a_name_as_long_as_the_file_system_takes_is_written(tmp_path, name):
    check_output_file(tmp_path / name)
    write_atomically(tmp_path / name, 'whole')
    assert (tmp_path / name).read_text() == 'whole'
    assert remove_leftovers(tmp_path) == []


def test_a_folder_is_created_or_refused(tmp_path):
    check_output_folder(tmp_path / 'a' / 'b', '--work-dir')
    assert (tmp_path / 'a' / 'b').is_dir()
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match='--work-dir: the folder .*file'):
        check_output_folder(tmp_path / 'file', '--work-dir')


def test_files_that_belong_together_are_replaced_together(tmp_path):
    out = tmp_path / 'model.xml'
    for text in ('old', 'new'):
        with replace_group(out) as part:
            assert part.name == 'model.xml'
            part.write_text(text)
            part.with_suffix('.bin').write_text(f'{text} weights')
            (part.parent / 'folder').mkdir()
            (part.parent / 'folder' / text).touch()
    with pytest.raises(ZeroDivisionError), replace_group(out) as part:
        part.write_text('broken')
        part.with_suffix('.bin').write_text('broken')
        raise ZeroDivisionError
    found = sorted(each.name for each in tmp_path.iterdir())
    assert found == ['folder', 'model.bin', 'model.xml']
    assert out.read_text() == 'new'
    assert (tmp_path / 'model.bin').read_text() == 'new weights'
    assert [each.name for each in (tmp_path / 'folder').iterdir()] == ['new']
